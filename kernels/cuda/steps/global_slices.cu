// Attention of global queries over a slice of the keys: a thread block a slice, head and eight queries. A lane scores one key, then owns
// some channels of the values. Keys and values are read once for eight queries; that, not the arithmetic, is the cost.
#include "kernels/cuda/steps/elements.cuh"
#include "kernels/token_steps_cuda.h"

namespace fovea::kernels::cuda {
namespace {

using namespace steps;

constexpr int kWarps = 4, kQueries = 8;

template <int kDim>
struct Shared {
  float query[kQueries][kDim];
  float weight[kWarps][32][kQueries];           // of the keys at hand
  float total[kWarps][kQueries], largest[kWarps][kQueries];
  float values[kWarps][kQueries][kDim];
};

// What a warp knows of its keys so far. total: of this lane's keys; values: of this lane's channels.
template <int kDim>
struct Running {
  static constexpr int kChannels = kDim / 32;
  float largest[kQueries], total[kQueries] = {}, values[kQueries][kChannels] = {};
  __device__ Running() {
#pragma unroll
    for (int q = 0; q < kQueries; ++q) largest[q] = -INFINITY;
  }
};

template <class Element, int kDim>
__device__ void score(const float (&query)[kQueries][kDim], const Element* key, float (&scores)[kQueries]) {
  constexpr int kVector = 16 / int(sizeof(Element));
#pragma unroll 4
  for (int d = 0; d < kDim; d += kVector) {
    const auto part = Pack<Element, kVector>::load(key + d);
#pragma unroll
    for (int q = 0; q < kQueries; ++q) {
#pragma unroll
      for (int i = 0; i < kVector; ++i) scores[q] = fmaf(query[q][d + i], part[i], scores[q]);
    }
  }
}

// The warp's 32 keys from `first` on, of which `count` exist.
template <class Element, int kDim>
__device__ void add_keys(const GlobalSlices& part, std::int64_t first, int count, Shared<kDim>& shared, Running<kDim>& running) {
  constexpr int kChannels = Running<kDim>::kChannels;
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32, head = int(blockIdx.y);
  const std::int64_t mine = first + min(lane, count - 1);
  float scores[kQueries] = {};
  score(shared.query, static_cast<const Element*>(part.key.data) + mine * part.key.token_stride + head * part.key.head_stride, scores);
#pragma unroll
  for (int q = 0; q < kQueries; ++q) {
    if (lane >= count) scores[q] = -INFINITY;
    const float largest = fmaxf(running.largest[q], maximum_of_warp(scores[q]));
    const float rescale = __expf(running.largest[q] - largest), weight = __expf(scores[q] - largest);
    running.largest[q] = largest;
    running.total[q] = running.total[q] * rescale + weight;
    shared.weight[warp][lane][q] = weight;
#pragma unroll
    for (int c = 0; c < kChannels; ++c) running.values[q][c] *= rescale;
  }
  __syncwarp();
  const Element* value = static_cast<const Element*>(part.value.data) + first * part.value.token_stride + head * part.value.head_stride;
#pragma unroll 8
  for (int k = 0; k < count; ++k, value += part.value.token_stride) {
    const auto channels = Pack<Element, kChannels>::load(value + lane * kChannels);
#pragma unroll
    for (int q = 0; q < kQueries; ++q) {
#pragma unroll
      for (int c = 0; c < kChannels; ++c) running.values[q][c] = fmaf(shared.weight[warp][k][q], channels[c], running.values[q][c]);
    }
  }
  __syncwarp();
}

// The warps' sums become the slice's.
template <int kDim>
__device__ void finish(const GlobalSlices& part, Shared<kDim>& shared, const Running<kDim>& running) {
  constexpr int kChannels = Running<kDim>::kChannels;
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32, head = int(blockIdx.y), first_query = int(blockIdx.z) * kQueries;
#pragma unroll
  for (int q = 0; q < kQueries; ++q) {
    const float total = sum_of_warp(running.total[q]);
    if (lane == 0) shared.total[warp][q] = total, shared.largest[warp][q] = running.largest[q];
#pragma unroll
    for (int c = 0; c < kChannels; ++c) shared.values[warp][q][lane * kChannels + c] = running.values[q][c];
  }
  __syncthreads();
  for (int i = int(threadIdx.x); i < kQueries * kDim; i += 32 * kWarps) {
    const int q = i / kDim, d = i % kDim;
    if (first_query + q >= part.global_tokens) continue;
    float largest = -INFINITY, total = 0, value = 0;
    for (int w = 0; w < kWarps; ++w) largest = fmaxf(largest, shared.largest[w][q]);
    for (int w = 0; w < kWarps; ++w) {
      const float factor = expf(shared.largest[w][q] - largest);
      total += factor * shared.total[w][q];
      value += factor * shared.values[w][q][d];
    }
    const std::int64_t place = (std::int64_t(blockIdx.x) * part.heads + head) * part.global_tokens + first_query + q;
    part.values[place * kDim + d] = value / total;
    if (d == 0) part.lse[place] = largest + logf(total);
  }
}

template <class Element, int kDim>
__global__ void __launch_bounds__(32 * kWarps) global_slices(const __grid_constant__ GlobalSlices part) {
  __shared__ Shared<kDim> shared;
  const int head = int(blockIdx.y), first_query = int(blockIdx.z) * kQueries;
  for (int i = int(threadIdx.x); i < kQueries * kDim; i += 32 * kWarps) {
    const int q = first_query + i / kDim;
    const bool exists = q < part.global_tokens;
    shared.query[i / kDim][i % kDim] = exists ? part.query[(std::int64_t(head) * part.global_tokens + q) * kDim + i % kDim] : 0.f;
  }
  __syncthreads();
  const std::int64_t begin = std::int64_t(blockIdx.x) * kGlobalSliceTokens, end = min(begin + kGlobalSliceTokens, part.count);
  Running<kDim> running;
  for (std::int64_t first = begin + int(threadIdx.x) / 32 * 32; first < end; first += 32 * kWarps) {
    add_keys<Element, kDim>(part, first, int(min(std::int64_t{32}, end - first)), shared, running);
  }
  finish(part, shared, running);
}

}  // namespace

const char* global_slices_unsupported(const GlobalSlices& part) {
  if (part.head_dim != 32 && part.head_dim != 64 && part.head_dim != 128) return "a head_dim other than 32, 64, 128";
  const std::int64_t vector = part.dtype == DataType::kFloat32 ? 4 : 8;
  for (const ConstView& view : {part.key, part.value}) {
    if (view.token_stride % vector != 0 || view.head_stride % vector != 0) return "tokens that are not 16-byte aligned";
  }
  return nullptr;
}

cudaError_t attend_from_globals(const GlobalSlices& part, cudaStream_t stream) {
  if (part.count == 0 || part.global_tokens == 0) return cudaSuccess;
  return for_element(part.dtype, [&](auto element) {
    using Element = decltype(element);
    const dim3 blocks(unsigned(part.slices()), unsigned(part.heads), unsigned((part.global_tokens + kQueries - 1) / kQueries));
    return for_dim(part.head_dim, [&](auto dim) {
      global_slices<Element, decltype(dim)::value><<<blocks, 32 * kWarps, 0, stream>>>(part);
      return cudaGetLastError();
    });
  });
}

}  // namespace fovea::kernels::cuda
