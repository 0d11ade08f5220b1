// Softmax weights on their way from accumulators to the A operand of P V.
#pragma once

#include <cstdint>

#include "kernels/cuda/ptx.cuh"

namespace fovea::kernels::sm90 {

// Weights of two blocks of 8 keys, in accumulator layout, are the A operand of 16 keys of P V.
template <class Element, int kSteps>
__device__ __forceinline__ void pack_weights(const float (&s)[kSteps * 8], std::uint32_t (&p)[kSteps][4]) {
#pragma unroll
  for (int k = 0; k < kSteps; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) p[k][i] = Element::pack(s[k * 8 + (i / 2) * 4 + (i & 1) * 2], s[k * 8 + (i / 2) * 4 + (i & 1) * 2 + 1]);
}

// Weights of zero, for a warp that no key of the stage concerns.
template <int kSteps>
__device__ __forceinline__ void no_weights(std::uint32_t (&p)[kSteps][4]) {
#pragma unroll
  for (int k = 0; k < kSteps; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) ptx::zero_here(p[k][i]);
}

template <int kHalves>
__device__ __forceinline__ void rescale(float (&output)[kHalves][32], const float (&alpha)[2]) {
#pragma unroll
  for (int half = 0; half < kHalves; ++half)
#pragma unroll
    for (int i = 0; i < 32; ++i) output[half][i] *= alpha[i / 2 & 1];
}

}  // namespace fovea::kernels::sm90
