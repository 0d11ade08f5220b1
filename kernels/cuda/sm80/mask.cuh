// Scores outside the window become -inf. Two kinds of patches, two masks (window.h).
#pragma once

#include <cmath>

#include "kernels/cuda/sm80/window.h"

namespace fovea::kernels::sm80 {

__device__ inline int lane_of_thread() { return int(threadIdx.x) % 32; }

// Two blocks below each other: columns decided for all scores at once, rows where the window begins and ends.
struct StripMask {
  bool column_met[2];                           // this lane's two columns of both blocks, by all its tokens
  unsigned groups[2];                           // bit i: group i of the tile meets the block

  __device__ bool meets(int j) const { return column_met[j]; }
  template <int kFrom, int kTo>
  __device__ bool whole() const {
    constexpr unsigned kAll = (1u << 2 * kTo) - (1u << 2 * kFrom);
    return (groups[0] & groups[1] & kAll) == kAll;
  }
  __device__ void meet_column(const ColumnWindow& window, int column) {
#pragma unroll
    for (int j = 0; j < 2; ++j) column_met[j] = window.meets(lane_column(column, j, lane_of_thread()));
  }
  template <int kFrom, int kTo, int kSubtiles>
  __device__ void apply(float (&score)[kSubtiles][2][4]) const {
#pragma unroll
    for (int m = kFrom; m < kTo; ++m)
#pragma unroll
      for (int block = 0; block < 2; ++block)
#pragma unroll
        for (int e = 0; e < 4; ++e) score[m][block][e] = groups[block] >> (2 * m + e / 2) & 1u ? score[m][block][e] : -INFINITY;
  }
};

// Two blocks side by side, and groups of the tile `step` columns apart.
struct RowMask {
  RowWindow window;
  int column, step;                             // of the first block; 0: all groups meet the same columns
  bool all;

  __device__ bool meets(int) const { return true; }
  template <int kFrom, int kTo>
  __device__ bool whole() const { return all; }
  template <int kFrom, int kTo, int kSubtiles>
  __device__ void apply(float (&score)[kSubtiles][2][4]) const {
#pragma unroll
    for (int m = kFrom; m < kTo; ++m)
#pragma unroll
      for (int block = 0; block < 2; ++block)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int met = lane_column(column + block * kBlock, e % 2, lane_of_thread());
          if (!window.meets(met, (2 * m + e / 2) * step)) score[m][block][e] = -INFINITY;
        }
  }
};

}  // namespace fovea::kernels::sm80
