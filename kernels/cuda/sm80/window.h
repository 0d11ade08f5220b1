// Which scores of a patch count: this lane's two tokens against the tokens of the patch's blocks. Plain integers; host and device.
//
// Inside a tile whose warps hold 2 x 8 tokens the columns of the window are the same for both rows and for all rows of keys, so they can
// be masked by a bias that costs nothing per score; only the window's first and last row, and tiles of a single row near the window's
// ends, compare every score.
#pragma once

#include "kernels/cuda/sm80/stages.h"

namespace fovea::kernels::sm80 {

// This lane's tokens in the sequence; -1: outside the grid.
struct LaneTokens {
  int token[2];
  FOVEA_HOST_DEVICE LaneTokens(const Work& work, const WarpTokens& tokens, int lane) {
    for (int half = 0; half < 2; ++half) {
      const int row = tokens.y + half * tokens.step_y, column = tokens.x + half * tokens.step_x + lane / 4;
      const bool exists = row < work.height && column < work.width;
      token[half] = exists ? work.map.base + row * work.map.row_stride + column * work.map.column_stride : -1;
    }
  }
};

// Which columns this lane's two tokens meet: low .. low + count - 1.
struct WindowMask {
  int low[2];
  unsigned count[2];

  WindowMask() = default;
  FOVEA_HOST_DEVICE WindowMask(const Work& work, const WarpTokens& tokens, int lane) {
    for (int half = 0; half < 2; ++half) {
      const int column = tokens.x + half * tokens.step_x + lane / 4;
      low[half] = larger(column - work.radius_x, work.grid.column_first);
      count[half] = unsigned(larger(0, smaller(column + work.radius_x, work.grid.column_last) + 1 - low[half]));
    }
  }
  FOVEA_HOST_DEVICE void meet_all(int columns) { low[0] = low[1] = 0, count[0] = count[1] = unsigned(columns); }
};

// Whether column c, element j of a patch is one that the upper token, and so both if the patch is not flat, meets.
FOVEA_HOST_DEVICE bool column_met(const WindowMask& mask, int column, int c, int j, int lane) {
  return unsigned(column + kBlock * c + 2 * (lane % 4) + j - mask.low[0]) < mask.count[0];
}

// Whether the columns alone decide: every row of the patch is met.
template <int kColumns>
FOVEA_HOST_DEVICE bool columns_decide(const Reach& reach, const Patch<kColumns>& patch) {
  if (!patch.flat) return patch.rows > 1 && patch.row > reach.row_first && patch.row + 1 < reach.row_last;
  return patch.blocks >= 2 * kColumns && patch.column >= reach.inner_first && patch.column + 2 * kColumns * kBlock - 1 <= reach.inner_last;
}

// Columns that the token of `half` meets in block i of the patch: none if the block or its row is out of reach.
template <int kColumns>
FOVEA_HOST_DEVICE unsigned columns_in_reach(const WindowMask& mask, const Reach& reach, const Patch<kColumns>& patch, int i, int half) {
  return patch.exists(i) && reach.meets_row(half, patch.row_of(i), patch.flat) ? mask.count[half] : 0u;
}
template <int kColumns>
FOVEA_HOST_DEVICE unsigned column_in_window(const WindowMask& mask, const Patch<kColumns>& patch, int i, int half, int lane) {
  return unsigned(patch.column_of(i) + 2 * (lane % 4) - mask.low[half]);
}

}  // namespace fovea::kernels::sm80
