// Merging the global queries' partial results: a block for each of them, always in the order of the slots, so that every run gives the
// same bits.
#pragma once

#include "kernels/cuda/sm90/epilogue.cuh"
#include "kernels/cuda/sm90/global_arguments.h"

namespace fovea::kernels::sm90 {

constexpr int kMergeWarps = kMergeThreads / 32;
constexpr int kRoundSteps = 4;                  // directory entries that a thread looks at in a round
constexpr int kRoundSlots = kRoundSteps * kMergeThreads;

template <class Element>
__device__ __forceinline__ typename Element::Type* output_row(const MergeArguments& a, int plane, std::int64_t token) {
  return static_cast<typename Element::Type*>(a.output.data) + plane / a.heads * a.output.batch_stride + token * a.output.token_stride +
         plane % a.heads * a.output.head_stride;
}

// The slots of a round that belong to the plane, ascending; returns how many. All threads.
__device__ __forceinline__ int find_slots(const PartialResults& partials, int plane, int first, int (&found)[kRoundSlots]) {
  __shared__ int counts[kRoundSteps * kMergeWarps];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  unsigned mine[kRoundSteps];
#pragma unroll
  for (int step = 0; step < kRoundSteps; ++step) {
    const int slot = first + step * kMergeThreads + static_cast<int>(threadIdx.x);
    mine[step] = __ballot_sync(~0u, slot < partials.slots && partials.directory[slot] == plane);
    if (lane == 0) counts[step * kMergeWarps + warp] = __popc(mine[step]);
  }
  __syncthreads();
  int before = 0, total = 0;
#pragma unroll
  for (int step = 0; step < kRoundSteps; ++step) {
    before = total;
    for (int w = 0; w < kMergeWarps; ++w) {
      if (w < warp) before += counts[step * kMergeWarps + w];
      total += counts[step * kMergeWarps + w];
    }
    if (mine[step] >> lane & 1) {
      const int position = before + __popc(mine[step] & ((1u << lane) - 1));
      found[position] = first + step * kMergeThreads + static_cast<int>(threadIdx.x);
    }
  }
  __syncthreads();
  return total;
}

// A sum of partial results; a lane holds columns lane, lane + 32...
struct MergedRow {
  float shift = kUnseenShift, sum = 0.0f, values[4] = {};
  __device__ __forceinline__ void add(const float* row, int columns) {
    const int lane = threadIdx.x % 32;
    const float other = row[columns], other_sum = row[columns + 1];
    float theirs[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) theirs[i] = lane + 32 * i < columns ? row[lane + 32 * i] : 0.0f;
    const float to = fminf(shift, other), keep = exp2f(to - shift), take = exp2f(to - other);
    sum = sum * keep + other_sum * take;
#pragma unroll
    for (int i = 0; i < 4; ++i) values[i] = values[i] * keep + theirs[i] * take;
    shift = to;
  }
};

// blockIdx: plane * global tokens + query.
template <class Element>
__global__ __launch_bounds__(kMergeThreads) void merge_kernel(const __grid_constant__ MergeArguments a) {
  ptx::wait_for_dependencies();
  const int plane = blockIdx.x / a.global_tokens, query = blockIdx.x % a.global_tokens;
  __shared__ int found[kRoundSlots];
  __shared__ float shared[kMergeWarps][130];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, columns = a.partials.columns;
  MergedRow merged;
  for (int first = 0; first < a.partials.slots; first += kRoundSlots) {
    const int count = find_slots(a.partials, plane, first, found);
#pragma unroll 4
    for (int i = warp; i < count; i += kMergeWarps)
      merged.add(a.partials.data + a.partials.row(found[i], query, a.global_tokens), columns);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (lane + 32 * i < columns) shared[warp][lane + 32 * i] = merged.values[i];
  if (lane == 0) {
    shared[warp][columns] = merged.shift;
    shared[warp][columns + 1] = merged.sum;
  }
  __syncthreads();
  if (warp != 0) return;
  for (int other = 1; other < kMergeWarps; ++other) merged.add(shared[other], columns);
  auto* destination = output_row<Element>(a, plane, query);
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (lane + 32 * i < a.head_dim) destination[lane + 32 * i] = typename Element::Type(merged.values[i] / merged.sum);
  if (lane == 0) a.output.lse[plane * a.tokens + query] = kLn2 * (log2f(merged.sum) - merged.shift);
}

}  // namespace fovea::kernels::sm90
