// Rotary embedding of a packed projection: 16 bytes a thread, read, rotated and written in place.
#include "kernels/cuda/steps/elements.cuh"
#include "kernels/token_steps_cuda.h"

namespace fovea::kernels::cuda {
namespace {

using namespace steps;

constexpr int kThreads = 384;   // of a thread block, about

// threadIdx.x: 16 bytes of a token's queries and keys; threadIdx.y: the token.
template <class Element>
__global__ void rotate(const __grid_constant__ PackedRotation rotation) {
  constexpr int kVector = 16 / int(sizeof(Element));
  const std::int64_t token = std::int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
  if (token >= rotation.count) return;
  const auto place = std::uint32_t(rotation.first_token + token), columns = std::uint32_t(rotation.columns);
  const std::uint32_t row = place / columns, column = place % columns;
  const int dim = rotation.head_dim, half = dim / 2, width = rotation.heads * dim;
  Element* const tokens = static_cast<Element*>(rotation.packed) + token * (3 * width);
  for (int channel = threadIdx.x * kVector; channel < 2 * width; channel += blockDim.x * kVector) {
    const int inside = channel % dim;
    const float* const factors = inside < half ? rotation.row_factors + std::int64_t(row) * half + inside
                                               : rotation.column_factors + std::int64_t(column) * half + inside - half;
    auto x = Pack<Element, kVector>::load(tokens + channel);
#pragma unroll
    for (int i = 0; i < kVector; i += 4) {
      const float4 unit = *reinterpret_cast<const float4*>(factors + i);   // cosine, sine of two numbers
      const float a = x[i], b = x[i + 1], c = x[i + 2], d = x[i + 3];
      x.set(i, a * unit.x - b * unit.y);
      x.set(i + 1, a * unit.y + b * unit.x);
      x.set(i + 2, c * unit.z - d * unit.w);
      x.set(i + 3, c * unit.w + d * unit.z);
    }
    x.store(tokens + channel);
  }
}

}  // namespace

const char* rotation_unsupported(const PackedRotation& rotation) {
  if (rotation.head_dim % 16 != 0) return "a head_dim that is no multiple of 16";
  if (rotation.first_token + rotation.count > std::int64_t{1} << 31) return "more than 2^31 tokens";
  return nullptr;
}

cudaError_t rotate_packed(const PackedRotation& rotation, cudaStream_t stream) {
  if (rotation.count == 0) return cudaSuccess;
  return for_element(rotation.dtype, [&](auto element) {
    const int vectors = 2 * rotation.heads * rotation.head_dim * int(sizeof(element)) / 16;
    const int across = vectors < kThreads ? vectors : kThreads, tokens = kThreads / across;
    const dim3 threads{unsigned(across), unsigned(tokens)};
    rotate<decltype(element)><<<unsigned((rotation.count + tokens - 1) / tokens), threads, 0, stream>>>(rotation);
    return cudaGetLastError();
  });
}

}  // namespace fovea::kernels::cuda
