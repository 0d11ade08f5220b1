// Softmax of accumulator rows, in powers of two: weight = exp2(score * scale_log2 + shift), shift = -maximum * scale_log2.
//
// Any shift gives the same quotient, so it need not be that of the row's maximum; weights must only stay in range. Two ways to see to that:
// the running maximum of Milakov and Gimelshein (2018), whose rescaling waits until the maximum grew by 2^8 (Flash Attention 4); or the
// maximum of the first keys met as the shift until weights turn out too large, and then a second look at the scores (stage_softmax.cuh).
#pragma once

#include <cstdint>

#include "kernels/cuda/ptx.cuh"
#include "kernels/cuda/sm90/window_masks.h"

namespace fovea::kernels::sm90 {

constexpr float kUnseenShift = 1e30f;           // of a row that has met no key
constexpr float kSlackLog2 = 8.0f;

// A thread's two accumulator rows. Scores are laid out [key rows][blocks of 8 keys][row][2]; mask bit 2 * block + j, the same for both
// rows and every key row, says whether the pair's key j counts.
struct RowSoftmax {
  float shift[2], sum[2];

  __device__ __forceinline__ void reset() {
    shift[0] = shift[1] = kUnseenShift;
    sum[0] = sum[1] = 0.0f;
  }

  // A row of the warp has met no key. (Rows outside the grid may never do.)
  __device__ __forceinline__ bool any_unseen() const { return __any_sync(~0u, fmaxf(shift[0], shift[1]) == kUnseenShift); }

  // The first keys a row meets: their maximum is its shift.
  template <int kKeyRows, int kBlocks>
  __device__ __forceinline__ void meet_first(const float (&s)[kKeyRows * kBlocks * 4], std::uint32_t mask, float scale_log2) {
    float maximum[2];
    row_maxima<kKeyRows, kBlocks>(s, mask, maximum);
#pragma unroll
    for (int row = 0; row < 2; ++row)
      if (shift[row] == kUnseenShift && maximum[row] != ptx::minus_infinity()) shift[row] = -maximum[row] * scale_log2;
  }

  // Takes note of new scores before they are weighed. True: the shift changed, and what was accumulated before must be multiplied by
  // alpha.
  template <int kKeyRows, int kBlocks>
  __device__ __forceinline__ bool meet(const float (&s)[kKeyRows * kBlocks * 4], std::uint32_t mask, float scale_log2, float (&alpha)[2]) {
    float maximum[2];
    row_maxima<kKeyRows, kBlocks>(s, mask, maximum);
    const float above = fmaxf(fmaf(maximum[0], scale_log2, shift[0]), fmaf(maximum[1], scale_log2, shift[1]));
    if (!__any_sync(~0u, above > kSlackLog2)) return false;
    change_shift(maximum, scale_log2, alpha);
    return true;
  }

  // Likewise, whatever the scores are.
  template <int kKeyRows, int kBlocks>
  __device__ __forceinline__ void meet_again(const float (&s)[kKeyRows * kBlocks * 4], std::uint32_t mask, float scale_log2,
                                             float (&alpha)[2]) {
    float maximum[2];
    row_maxima<kKeyRows, kBlocks>(s, mask, maximum);
    change_shift(maximum, scale_log2, alpha);
  }

  // The shift of each of a lane's columns, -infinity for those that do not count: the mask costs nothing per score.
  template <int kBlocks>
  __device__ __forceinline__ void bias(std::uint32_t mask, float (&bias)[2][2 * kBlocks]) const {
#pragma unroll
    for (int row = 0; row < 2; ++row)
#pragma unroll
      for (int i = 0; i < 2 * kBlocks; ++i) bias[row][i] = mask >> i & 1 ? shift[row] : ptx::minus_infinity();
  }

  // Scores to weights, in place; their sums are added.
  template <int kKeyRows, int kBlocks>
  __device__ __forceinline__ void weigh(float (&s)[kKeyRows * kBlocks * 4], const float (&bias)[2][2 * kBlocks], float scale_log2) {
#pragma unroll
    for (int row = 0; row < 2; ++row) weigh_row<kKeyRows, kBlocks>(s, row, bias, scale_log2);
  }

  // Those of one of the two rows.
  template <int kKeyRows, int kBlocks>
  __device__ __forceinline__ void weigh_row(float (&s)[kKeyRows * kBlocks * 4], int row, const float (&bias)[2][2 * kBlocks],
                                            float scale_log2) {
    float even = sum[row], odd;
#pragma unroll
    for (int k = 0; k < kKeyRows; ++k) {
#pragma unroll
      for (int i = 0; i < 2 * kBlocks; ++i) {
        float& x = s[index<kBlocks>(k, i, row)];
        x = ptx::exp2_approximate(fmaf(x, scale_log2, bias[row][i]));
        if (i & 1) odd = k == 0 && i == 1 ? x : odd + x; else even += x;
      }
    }
    sum[row] = even + odd;
  }

  // The four lanes of a row add up what each has summed.
  __device__ __forceinline__ float total(int row) const {
    float l = sum[row];
    l += __shfl_xor_sync(~0u, l, 1);
    return l + __shfl_xor_sync(~0u, l, 2);
  }

 private:
  __device__ __forceinline__ void change_shift(const float (&maximum)[2], float scale_log2, float (&alpha)[2]) {
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      const float to = fminf(shift[row], -maximum[row] * scale_log2);
      alpha[row] = ptx::exp2_approximate(to - shift[row]);
      shift[row] = to;
      sum[row] *= alpha[row];
    }
  }

  template <int kBlocks>
  __device__ static constexpr int index(int key_row, int i, int row) {
    return (key_row * kBlocks + i / 2) * 4 + row * 2 + (i & 1);
  }

  template <int kKeyRows, int kBlocks>
  __device__ static __forceinline__ void row_maxima(const float (&s)[kKeyRows * kBlocks * 4], std::uint32_t mask, float (&maximum)[2]) {
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      maximum[row] = ptx::minus_infinity();
#pragma unroll
      for (int i = 0; i < 2 * kBlocks; ++i) {
        float column = s[index<kBlocks>(0, i, row)];
#pragma unroll
        for (int k = 1; k < kKeyRows; ++k) column = fmaxf(column, s[index<kBlocks>(k, i, row)]);
        maximum[row] = fmaxf(maximum[row], mask >> i & 1 ? column : ptx::minus_infinity());
      }
    }
#pragma unroll
    for (int row = 0; row < 2; ++row) maximum[row] = fmaxf(maximum[row], __shfl_xor_sync(~0u, maximum[row], 1));
#pragma unroll
    for (int row = 0; row < 2; ++row) maximum[row] = fmaxf(maximum[row], __shfl_xor_sync(~0u, maximum[row], 2));
  }
};

// Scores that the window or the grid cuts off: minus infinity. A stage has two rows of streamed tokens; offset as in RowWindow.
__device__ __forceinline__ void cut_rows(float (&s)[24], const RowWindow& window, int offset) {
#pragma unroll
  for (int streamed = 0; streamed < kPairRows; ++streamed)
#pragma unroll
    for (int row = 0; row < 2; ++row)
      if (!window.sees(row, streamed, offset)) {
#pragma unroll
        for (int block = 0; block < 3; ++block)
          s[(streamed * 3 + block) * 4 + row * 2] = s[(streamed * 3 + block) * 4 + row * 2 + 1] = ptx::minus_infinity();
      }
}

}  // namespace fovea::kernels::sm90
