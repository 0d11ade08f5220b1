// The matrix products of a warp: its stationary tokens (operand A) with blocks of streamed tokens (operand B).
#pragma once

#include "kernels/cuda/sm80/fragments_float32.cuh"
#include "kernels/cuda/sm80/window.h"

namespace fovea::kernels::sm80 {

// Rows of the warp's 16 tokens in global memory, as operand A. 16-bit types stay in registers; float32 (twice the registers) is read
// again from the L1 cache whenever it is used.
template <class Element, int kDim>
class Stationary {
  static constexpr bool kResident = sizeof(Element) == 2;

 public:
  __device__ Stationary(const Plane<Element>& plane, const LaneTokens& lane, std::uint32_t sign) : sign_(sign) {
#pragma unroll
    for (int half = 0; half < 2; ++half) row_[half] = lane.token[half] < 0 ? nullptr : plane.row(lane.token[half]);
    if constexpr (kResident) {
#pragma unroll
      for (int k = 0; k < kDim / 16; ++k) fragment_[k] = load_a(row_[0], row_[1], k, sign);
    }
  }
  __device__ FragmentA<Element> operand(int k) const {
    if constexpr (kResident) return fragment_[k];
    else return load_a(row_[0], row_[1], k, sign_);
  }

 private:
  const Element* row_[2];
  std::uint32_t sign_;
  FragmentA<Element> fragment_[kResident ? kDim / 16 : 1];
};

template <int kColumns>
__device__ void clear(float (&sum)[kColumns][4]) {
#pragma unroll
  for (int n = 0; n < kColumns; ++n) sum[n][0] = sum[n][1] = sum[n][2] = sum[n][3] = 0.f;
}

// Writes scale * sum of this lane's token in `half` to its row, from column `offset` on.
template <class Element, int kColumns>
__device__ void store_row(Element* row, int offset, const float (&sum)[kColumns][4], int half, float scale) {
#pragma unroll
  for (int n = 0; n < kColumns; ++n)
    store_pair(row, offset + 8 * n + 2 * int(threadIdx.x % 4), sum[n][2 * half] * scale, sum[n][2 * half + 1] * scale);
}

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
__device__ void multiply_rows(float (&score)[2 * kColumns][4], const Stationary<Element, kDim>& a, std::uint32_t rows, const Patch<kColumns>& patch) {
  clear(score);
  const PatchOperands<RowsOperand<Element, kDim>, kColumns> operands(rows, patch);
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) multiply_step(score, a, k, operands);
}

// Two such products at once, step by step: twice as many independent chains.
template <class Element, int kDim, int kColumns>
__device__ void multiply_rows_twice(float (&score)[2 * kColumns][4], const Stationary<Element, kDim>& a, std::uint32_t rows,
                                    float (&second_score)[2 * kColumns][4], const Stationary<Element, kDim>& second, std::uint32_t second_rows,
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
__device__ void multiply_columns(float (&sum)[kDim / 8][4], const float (&weight)[2 * kColumns][4], std::uint32_t rows, const Patch<kColumns>& patch) {
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

// Adds the row that store_row(row, offset, sum, half, 1) wrote, times `scale`.
template <int kColumns>
__device__ void add_row(float (&sum)[kColumns][4], const float* row, int offset, int half, float scale) {
#pragma unroll
  for (int n = 0; n < kColumns; ++n) {
    const float2 pair = *reinterpret_cast<const float2*>(row + offset + 8 * n + 2 * int(threadIdx.x % 4));
    sum[n][2 * half] = fmaf(scale, pair.x, sum[n][2 * half]);
    sum[n][2 * half + 1] = fmaf(scale, pair.y, sum[n][2 * half + 1]);
  }
}

__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Over the four lanes that share a row.
__device__ inline float row_maximum(float x) {
  x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
  return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}
__device__ inline float row_sum(float x) {
  x += __shfl_xor_sync(~0u, x, 1);
  return x + __shfl_xor_sync(~0u, x, 2);
}

}  // namespace fovea::kernels::sm80
