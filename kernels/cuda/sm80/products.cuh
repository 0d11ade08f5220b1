// The matrix products of a warp: its stationary tokens (operand A) with a patch of streamed tokens (operand B). Subtiles kFrom .. kTo - 1
// take part, and share what is read from shared memory.
#pragma once

#include "kernels/cuda/sm80/room.cuh"
#include "kernels/cuda/sm80/rows.cuh"

namespace fovea::kernels::sm80 {

// score[m][block] += tokens of subtile m . tokens of the block. Chains of products of one k are independent of each other.
template <int kFrom, int kTo, class Element, int kDim, int kSubtiles>
__device__ void multiply_step(float (&score)[kSubtiles][2][4], const Stationary<Element, kDim, kSubtiles>& a, int k,
                              const RowsOperand<Element, kDim>& rows) {
  FragmentB<Element> b[2];
  rows.load(k, b);
#pragma unroll
  for (int m = kFrom; m < kTo; ++m) {
    const FragmentA<Element> fragment = a.operand(m, k);
#pragma unroll
    for (int block = 0; block < 2; ++block) multiply_add(score[m][block], fragment, b[block]);
  }
}

template <int kFrom, int kTo, class Element, int kDim, int kSubtiles>
__device__ void multiply_rows(float (&score)[kSubtiles][2][4], const Stationary<Element, kDim, kSubtiles>& a, std::uint32_t block,
                              int distance) {
  const RowsOperand<Element, kDim> operand(block, distance * kBlock * SharedRows<Element, kDim>::kRowBytes);
  clear(score);
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) multiply_step<kFrom, kTo>(score, a, k, operand);
}

// Two such products at once, step by step: twice as many independent chains.
template <int kFrom, int kTo, class Element, int kDim, int kSubtiles>
__device__ void multiply_rows_twice(float (&score)[kSubtiles][2][4], const Stationary<Element, kDim, kSubtiles>& a, std::uint32_t block,
                                    float (&second_score)[kSubtiles][2][4], const Stationary<Element, kDim, kSubtiles>& second,
                                    std::uint32_t second_block, int distance) {
  constexpr int kBlockBytes = kBlock * SharedRows<Element, kDim>::kRowBytes;
  const RowsOperand<Element, kDim> operand(block, distance * kBlockBytes), second_operand(second_block, distance * kBlockBytes);
  clear(score);
  clear(second_score);
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) {
    multiply_step<kFrom, kTo>(score, a, k, operand);
    multiply_step<kFrom, kTo>(second_score, second, k, second_operand);
  }
}

// sum[m] += weights of subtile m . rows of the two blocks, a sum over the blocks' tokens.
template <int kFrom, int kTo, class Element, int kDim, int kSubtiles>
__device__ void multiply_columns(float (&sum)[kSubtiles][kDim / 8][4], const FragmentA<Element> (&weight)[kSubtiles], std::uint32_t block,
                                 int distance) {
  const ColumnsOperand<Element, kDim> operand(block, distance * kBlock * SharedRows<Element, kDim>::kRowBytes);
#pragma unroll
  for (int n = 0; n < kDim / 16; ++n) {
    FragmentB<Element> b[2];
    operand.load(n, b);
#pragma unroll
    for (int m = kFrom; m < kTo; ++m)
#pragma unroll
      for (int j = 0; j < 2; ++j) multiply_add(sum[m][2 * n + j], weight[m], b[j]);
  }
}

__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace fovea::kernels::sm80
