// The matrix products of the gradient kernels, all operands but weights from shared memory. See wgmma.cuh for descriptors.
#pragma once

#include "kernels/cuda/sm90/wgmma.cuh"

namespace fovea::kernels::sm90 {

// s [64 x keys] = tile stream^T over all columns, half by half; half_distance: of the stream's halves, in units of descriptors.
template <class Element, int kHalves, int kCount>
__device__ __forceinline__ void multiply_tile(float (&s)[kCount], std::uint32_t tile, std::uint32_t stream, std::uint32_t half_distance) {
#pragma unroll
  for (int half = 0; half < kHalves; ++half) {
    const std::uint32_t a = tile + half * descriptor_distance(kQueryRows * kSwizzleBytes), b = stream + half * half_distance;
    if (half == 0) scores_product<Element, kDenseRows, 0>(s, a, b); else scores_product<Element, kDenseRows, 1>(s, a, b);
#pragma unroll
    for (int k = 1; k < 4; ++k) scores_product<Element, kDenseRows, 1>(s, a + 2 * k, b + 2 * k);
  }
}

// d [64 x columns] += weights [64 x 16 kSteps] stream [16 kSteps x columns]; accumulate: 0 overwrites d.
template <class Element, int kHalves, int kSteps>
__device__ __forceinline__ void add_weighted(float (&d)[kHalves][32], const std::uint32_t (&weights)[kSteps][4], std::uint32_t stream,
                                             std::uint32_t half_distance, int accumulate = 1) {
#pragma unroll
  for (int half = 0; half < kHalves; ++half)
#pragma unroll
    for (int k = 0; k < kSteps; ++k)
      values_product<Element, kDenseRows>(d[half], weights[k], stream + half * half_distance + k * 128, k > 0 ? 1 : accumulate);
}

template <int kHalves>
__device__ __forceinline__ void gradients_settle(float (&d)[kHalves][32]) {
#pragma unroll
  for (int half = 0; half < kHalves; ++half) products_settle(d[half]);
}
template <int kHalves>
__device__ __forceinline__ void gradients_reset(float (&d)[kHalves][32]) {
#pragma unroll
  for (int half = 0; half < kHalves; ++half)
#pragma unroll
    for (float& x : d[half]) x = 0.0f;
}

// d [64 columns x 16 globals] += tile^T weights: the tile read MN-major (its rows are the contraction), the weights as 16 rows of the 64
// tokens of the tile.
#define FOVEA_TRANSPOSED(TYPE)                                                                                              \
  asm volatile("{\n.reg .b64 a, b;\nmov.b64 a, {%8, %10};\nmov.b64 b, {%9, %10};\n"                                         \
               "wgmma.mma_async.sync.aligned.m64n16k16.f32." TYPE "." TYPE " {%0, %1, %2, %3, %4, %5, %6, %7}, a, b, 1, 1, 1, 1, 0;\n}\n" \
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7])              \
               : "r"(tile), "r"(weights), "n"(kDenseRows))
template <class Element>
__device__ __forceinline__ void transposed_product(float (&d)[8], std::uint32_t tile, std::uint32_t weights) {
  if constexpr (Element::kWideRange) FOVEA_TRANSPOSED("bf16"); else FOVEA_TRANSPOSED("f16");
}
#undef FOVEA_TRANSPOSED

template <class Element>
__device__ __forceinline__ void add_transposed(float (&d)[8], std::uint32_t tile, std::uint32_t weights) {
#pragma unroll
  for (int k = 0; k < 4; ++k) transposed_product<Element>(d, tile + k * 128, weights + k * 2);
}

}  // namespace fovea::kernels::sm90
