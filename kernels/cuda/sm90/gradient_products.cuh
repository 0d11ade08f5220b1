// The matrix products of the gradient kernels, all operands but weights from shared memory. See wgmma.cuh for descriptors.
#pragma once

#include "kernels/cuda/sm90/wgmma.cuh"

namespace fovea::kernels::sm90 {

// s [64 x keys] = tile stream^T over 64 columns.
template <class Element, int kCount>
__device__ __forceinline__ void multiply_tile(float (&s)[kCount], std::uint32_t tile, std::uint32_t stream) {
  scores_product<Element, kDenseRows, 0>(s, tile, stream);
#pragma unroll
  for (int k = 1; k < 4; ++k) scores_product<Element, kDenseRows, 1>(s, tile + 2 * k, stream + 2 * k);
}

// d [64 x 64] += weights [64 x 48] stream [48 x 64].
template <class Element>
__device__ __forceinline__ void add_weighted(float (&d)[32], const std::uint32_t (&weights)[3][4], std::uint32_t stream) {
#pragma unroll
  for (int k = 0; k < 3; ++k) values_product<Element, kDenseRows>(d, weights[k], stream + k * 128, 1);
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
