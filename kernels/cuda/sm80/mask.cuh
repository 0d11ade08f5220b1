// Scores outside the window become -inf.
#pragma once

#include <cmath>

#include "kernels/cuda/sm80/window.h"

namespace fovea::kernels::sm80 {

__device__ inline int lane_of_thread() { return int(threadIdx.x) % 32; }

// 0 for columns of a patch that this lane's tokens meet, -inf for the others; added to the score. Flat patches compare where they must.
template <int kColumns>
struct ColumnBias {
  float value[kColumns][2];

  __device__ ColumnBias(const WindowMask& mask, int column, bool flat) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
#pragma unroll
      for (int j = 0; j < 2; ++j) value[c][j] = flat || column_met(mask, column, c, j, lane_of_thread()) ? 0.f : -INFINITY;
  }
};

template <int kColumns>
__device__ void mask_scores(float (&score)[2 * kColumns][4], const WindowMask& mask, const Reach& reach, const Patch<kColumns>& patch) {
#pragma unroll
  for (int i = 0; i < 2 * kColumns; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const unsigned met = columns_in_reach(mask, reach, patch, i, half), column = column_in_window(mask, patch, i, half, lane_of_thread());
#pragma unroll
      for (int j = 0; j < 2; ++j) score[i][2 * half + j] = column + unsigned(j) < met ? score[i][2 * half + j] : -INFINITY;
    }
}

}  // namespace fovea::kernels::sm80
