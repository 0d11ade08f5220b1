// The matrix products of a warp: its stationary tokens (operand A) with blocks of streamed tokens (operand B).
#pragma once

#include "kernels/cuda/sm80/fragments_float32.cuh"

namespace fovea::kernels::sm80 {

// Rows of the warp's tokens in global memory, as operand A. 16-bit types stay in registers; float32 (twice the registers, and the
// matrix units' bottleneck is elsewhere) is read again from the L1 cache whenever it is used.
template <class Element, int kDim, int kSub>
class Stationary {
  static constexpr bool kResident = sizeof(Element) == 2;

 public:
  __device__ Stationary(const Plane<Element>& plane, const int (&token)[2 * kSub], std::uint32_t sign) : sign_(sign) {
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) row_[half] = token[half] < 0 ? nullptr : plane.row(token[half]);
    if constexpr (kResident) {
#pragma unroll
      for (int s = 0; s < kSub; ++s)
#pragma unroll
        for (int k = 0; k < kDim / 16; ++k) fragment_[s][k] = load_a(row_[2 * s], row_[2 * s + 1], k, sign);
    }
  }
  __device__ FragmentA<Element> operand(int s, int k) const {
    if constexpr (kResident) return fragment_[s][k];
    else return load_a(row_[2 * s], row_[2 * s + 1], k, sign_);
  }

 private:
  const Element* row_[2 * kSub];
  std::uint32_t sign_;
  FragmentA<Element> fragment_[kResident ? kSub : 1][kResident ? kDim / 16 : 1];
};

template <int kSub, int kColumns>
__device__ void clear(float (&sum)[kSub][kColumns][4]) {
#pragma unroll
  for (int s = 0; s < kSub; ++s)
#pragma unroll
    for (int n = 0; n < kColumns; ++n) sum[s][n][0] = sum[s][n][1] = sum[s][n][2] = sum[s][n][3] = 0.f;
}

// Writes scale * sum of this lane's token in `half` to its row, from column `offset` on.
template <class Element, int kSub, int kColumns>
__device__ void store_row(Element* row, int offset, const float (&sum)[kSub][kColumns][4], int half, float scale) {
#pragma unroll
  for (int n = 0; n < kColumns; ++n)
    store_pair(row, offset + 8 * n + 2 * int(threadIdx.x % 4), sum[half / 2][n][half % 2 * 2] * scale, sum[half / 2][n][half % 2 * 2 + 1] * scale);
}

// score[s][i] = stationary tokens . tokens of block i, a sum over kDim elements.
template <class Element, int kDim, int kSub, int kCount>
__device__ void multiply_rows(float (&score)[kSub][kCount][4], const Stationary<Element, kDim, kSub>& a, std::uint32_t rows,
                              const Blocks<kCount>& blocks) {
  clear(score);
#pragma unroll
  for (int pair = 0; pair < kCount / 2; ++pair) {
    const RowsOperand<Element, kDim> operand(rows, blocks.slot[2 * pair], blocks.slot[2 * pair + 1]);
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      FragmentB<Element> b[2];
      operand.load(k, b);
#pragma unroll
      for (int s = 0; s < kSub; ++s) {
        const FragmentA<Element> fragment = a.operand(s, k);
        multiply_add(score[s][2 * pair], fragment, b[0]);
        multiply_add(score[s][2 * pair + 1], fragment, b[1]);
      }
    }
  }
}

// sum[s] += weight[s] . rows of the blocks, a sum over the blocks' tokens.
template <class Element, int kDim, int kSub, int kCount>
__device__ void multiply_columns(float (&sum)[kSub][kDim / 8][4], const float (&weight)[kSub][kCount][4], std::uint32_t rows,
                                 const Blocks<kCount>& blocks) {
#pragma unroll
  for (int pair = 0; pair < kCount / 2; ++pair) {
    FragmentA<Element> a[kSub];
#pragma unroll
    for (int s = 0; s < kSub; ++s) a[s] = operand_a<Element>(weight[s][2 * pair], weight[s][2 * pair + 1]);
    const ColumnsOperand<Element, kDim> operand(rows, blocks.slot[2 * pair], blocks.slot[2 * pair + 1]);
#pragma unroll
    for (int n = 0; n < kDim / 16; ++n) {
      FragmentB<Element> b[2];
      operand.load(n, b);
#pragma unroll
      for (int s = 0; s < kSub; ++s) {
        multiply_add(sum[s][2 * n], a[s], b[0]);
        multiply_add(sum[s][2 * n + 1], a[s], b[1]);
      }
    }
  }
}

// Calls body(s, i, e, met) for every score of this lane: element e of block i for subtile s; met: whether the window holds the pair.
template <int kSub, int kCount, class Body>
__device__ void for_each_score(const WindowMask<kSub>& mask, const Blocks<kCount>& blocks, Body body) {
  const int c = threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < kCount; ++i)
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) {
      const unsigned met = mask.columns_met(half, blocks.row[i]);
      const unsigned column = unsigned(blocks.column[i] + 2 * c - mask.low[half]);
#pragma unroll
      for (int j = 0; j < 2; ++j) body(half / 2, i, half % 2 * 2 + j, column + unsigned(j) < met);
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
