// The matrix products of a warp: its stationary tokens (operand A) with blocks of streamed tokens (operand B).
#pragma once

#include "kernels/cuda/sm80/rows.cuh"

namespace fovea::kernels::sm80 {

// The two operands that a patch's blocks make pair by pair.
template <class Operand, int kColumns>
struct PatchOperands {
  Operand pair[kColumns];
  __device__ PatchOperands(std::uint32_t rows, const Patch<kColumns>& patch) {
#pragma unroll
    for (int i = 0; i < kColumns; ++i) pair[i] = Operand(rows, patch.slot[2 * i], patch.slot[2 * i + 1]);
  }
};

// score[i] += stationary tokens . tokens of block i, over elements 16 k .. 16 k + 15. Products of one k are independent of each other.
template <class Element, int kDim, int kColumns>
__device__ void multiply_step(float (&score)[2 * kColumns][4], const Stationary<Element, kDim>& a, int k,
                              const PatchOperands<RowsOperand<Element, kDim>, kColumns>& rows) {
  const FragmentA<Element> fragment = a.operand(k);
#pragma unroll
  for (int pair = 0; pair < kColumns; ++pair) {
    FragmentB<Element> b[2];
    rows.pair[pair].load(k, b);
    multiply_add(score[2 * pair], fragment, b[0]);
    multiply_add(score[2 * pair + 1], fragment, b[1]);
  }
}

// score[i] = stationary tokens . tokens of block i.
template <class Element, int kDim, int kColumns>
__device__ void multiply_rows(float (&score)[2 * kColumns][4], const Stationary<Element, kDim>& a, std::uint32_t rows,
                              const Patch<kColumns>& patch) {
  clear(score);
  const PatchOperands<RowsOperand<Element, kDim>, kColumns> operands(rows, patch);
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) multiply_step(score, a, k, operands);
}

// Two such products at once, step by step: twice as many independent chains.
template <class Element, int kDim, int kColumns>
__device__ void multiply_rows_twice(float (&score)[2 * kColumns][4], const Stationary<Element, kDim>& a, std::uint32_t rows,
                                    float (&second_score)[2 * kColumns][4], const Stationary<Element, kDim>& second,
                                    std::uint32_t second_rows,
                                    const Patch<kColumns>& patch) {
  clear(score);
  clear(second_score);
  const PatchOperands<RowsOperand<Element, kDim>, kColumns> operands(rows, patch), second_operands(second_rows, patch);
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) {
    multiply_step(score, a, k, operands);
    multiply_step(second_score, second, k, second_operands);
  }
}

// sum += weight . rows of the blocks, a sum over the blocks' tokens.
template <class Element, int kDim, int kColumns>
__device__ void multiply_columns(float (&sum)[kDim / 8][4], const float (&weight)[2 * kColumns][4], std::uint32_t rows,
                                 const Patch<kColumns>& patch) {
#pragma unroll
  for (int pair = 0; pair < kColumns; ++pair) {
    const FragmentA<Element> a = operand_a<Element>(weight[2 * pair], weight[2 * pair + 1]);
    const ColumnsOperand<Element, kDim> operand(rows, patch.slot[2 * pair], patch.slot[2 * pair + 1]);
#pragma unroll
    for (int n = 0; n < kDim / 16; ++n) {
      FragmentB<Element> b[2];
      operand.load(n, b);
      multiply_add(sum[2 * n], a, b[0]);
      multiply_add(sum[2 * n + 1], a, b[1]);
    }
  }
}

__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace fovea::kernels::sm80
