// Scores outside the window become -inf. Inside a tile whose warps hold 2 x 8 tokens the columns of the window are the same for both rows
// and for all rows of keys, so they are masked by a bias that costs nothing per score; only the window's first and last row, and tiles of
// a single row near the window's ends, compare every score.
#pragma once

#include "kernels/cuda/sm80/stream.cuh"

namespace fovea::kernels::sm80 {

// 0 for columns of a patch that this lane's tokens meet, -inf for the others; added to the score. Element j of block column c.
template <int kColumns>
struct ColumnBias {
  float value[kColumns][2];

  __device__ ColumnBias(const WindowMask& mask, int column, bool flat) {
    const unsigned first = unsigned(column + 2 * int(threadIdx.x % 4) - mask.low[0]);
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
#pragma unroll
      for (int j = 0; j < 2; ++j) value[c][j] = flat || first + unsigned(kBlock * c + j) < mask.count[0] ? 0.f : -INFINITY;
  }
};

// Whether the bias alone is right for this patch.
template <int kColumns>
__device__ bool bias_suffices(const Reach& reach, const Patch<kColumns>& patch) {
  if (!patch.flat) return patch.rows > 1 && patch.row > reach.row_first && patch.row + 1 < reach.row_last;
  return patch.blocks >= 2 * kColumns && patch.column >= reach.inner_first && patch.column + 2 * kColumns * kBlock - 1 <= reach.inner_last;
}

template <int kColumns>
__device__ void mask_scores(float (&score)[2 * kColumns][4], const WindowMask& mask, const Reach& reach, const Patch<kColumns>& patch) {
#pragma unroll
  for (int i = 0; i < 2 * kColumns; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const unsigned met = patch.exists(i) && reach.meets_row(half, patch.row_of(i), patch.flat) ? mask.count[half] : 0u;
      const unsigned column = unsigned(patch.column_of(i) + 2 * int(threadIdx.x % 4) - mask.low[half]);
#pragma unroll
      for (int j = 0; j < 2; ++j) score[i][2 * half + j] = column + unsigned(j) < met ? score[i][2 * half + j] : -INFINITY;
    }
}

}  // namespace fovea::kernels::sm80
