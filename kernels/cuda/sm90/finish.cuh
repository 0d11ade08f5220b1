// What is left when the tiles are done: merging the global queries' partial results, and computing again the rows whose scores spread
// over more than the one-maximum softmax can hold (softmax.cuh). One launch; usually the second part has nothing to do.
#pragma once

#include "kernels/cuda/sm90/merge.cuh"

namespace fovea::kernels::sm90 {

// A grid query's row by one warp, plainly: 32 keys at a time, a lane each for the scores, then all lanes for the weighted values.
template <class Element>
__device__ __forceinline__ void repair_row(const FinishArguments& a, int plane, std::int64_t token) {
  using Type = typename Element::Type;
  const int lane = threadIdx.x % 32, head = plane % a.heads, batch = plane / a.heads, group = a.head_group[head];
  const Axis ay = a.y[group], ax = a.x[group];
  const std::int64_t cell = token - a.global_tokens;
  const int y = static_cast<int>(cell / a.grid_width), x = static_cast<int>(cell % a.grid_width);
  const int up = smaller(ay.radius, y / ay.dilation), left = smaller(ax.radius, x / ax.dilation);
  const int columns = left + 1 + smaller(ax.radius, (a.grid_width - 1 - x) / ax.dilation);
  const int rows = up + 1 + smaller(ay.radius, (a.grid_height - 1 - y) / ay.dilation);
  const auto row = [&](const ConstView& v, std::int64_t t) {
    return static_cast<const Type*>(v.data) + batch * v.batch_stride + t * v.token_stride + head * v.head_stride;
  };
  const auto key_token = [&](std::int64_t i) {
    if (i < a.global_tokens) return i;
    i -= a.global_tokens;
    return a.global_tokens + (y + (i / columns - up) * ay.dilation) * a.grid_width + x + (i % columns - left) * ax.dilation;
  };
  const std::int64_t count = a.global_tokens + static_cast<std::int64_t>(rows) * columns;
  const Type* q = row(a.query, token);
  float maximum = ptx::minus_infinity(), sum = 0.0f, values[4] = {};
  for (std::int64_t first = 0; first < count; first += 32) {
    const int here = static_cast<int>(min(count - first, std::int64_t{32}));
    float score = ptx::minus_infinity();
    if (lane < here) {
      const Type* k = row(a.key, key_token(first + lane));
      score = 0.0f;
      for (int d = 0; d < a.head_dim; ++d) score = fmaf(float(q[d]), float(k[d]), score);
      score *= a.scale_log2;
    }
    float highest = fmaxf(maximum, score);
    for (int step = 16; step; step /= 2) highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, step));
    const float keep = maximum == highest ? 1.0f : exp2f(maximum - highest), weight = lane < here ? exp2f(score - highest) : 0.0f;
    sum = sum * keep + weight;
    for (float& v : values) v *= keep;
    for (int i = 0; i < here; ++i) {
      const float w = __shfl_sync(~0u, weight, i);
      const Type* v = row(a.value, key_token(first + i));
      for (int j = 0; j < 4; ++j)
        if (lane + 32 * j < a.head_dim) values[j] = fmaf(w, float(v[lane + 32 * j]), values[j]);
    }
    maximum = highest;
  }
  for (int step = 16; step; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  for (int j = 0; j < 4; ++j)
    if (lane + 32 * j < a.head_dim) output_row<Element>(a, plane, token)[lane + 32 * j] = Type(values[j] / sum);
  if (lane == 0) a.output.lse[plane * a.tokens + token] = kLn2 * (maximum + log2f(sum));
}

// Marked rows are found by scanning the log-sum-exp, so that a list of them needs no memory.
template <class Element>
__device__ __forceinline__ void repair(const FinishArguments& a, int block, int blocks) {
  const std::int64_t rows = a.planes * a.tokens;
  bool any = false;
  for (int i = threadIdx.x; i < a.damage_count; i += kFinishThreads) any |= a.damage[i] != 0;
  if (!__syncthreads_or(any)) return;
  const int lane = threadIdx.x % 32;
  for (std::int64_t first = (static_cast<std::int64_t>(block) * kFinishWarps + threadIdx.x / 32) * 32; first < rows;
       first += static_cast<std::int64_t>(blocks) * kFinishThreads) {
    const std::int64_t index = first + lane;
    const bool marked = index < rows && index % a.tokens >= a.global_tokens && __float_as_uint(a.output.lse[index]) == kRepairMark;
    for (unsigned found = __ballot_sync(~0u, marked); found; found &= found - 1) {
      const std::int64_t at = first + __ffs(found) - 1;
      repair_row<Element>(a, static_cast<int>(at / a.tokens), at % a.tokens);
    }
  }
}

template <class Element>
__global__ __launch_bounds__(kFinishThreads) void finish_kernel(const __grid_constant__ FinishArguments arguments) {
  asm volatile("griddepcontrol.wait;" ::: "memory");
  const int block = blockIdx.x;
  if (block < arguments.merge_blocks)
    merge<Element>(arguments, block / arguments.global_tokens, block % arguments.global_tokens);
  else
    repair<Element>(arguments, block - arguments.merge_blocks, gridDim.x - arguments.merge_blocks);
}

}  // namespace fovea::kernels::sm90
