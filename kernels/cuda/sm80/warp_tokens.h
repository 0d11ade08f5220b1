// The tokens that a warp keeps, and how far they see. Plain integers; host and device.
#pragma once

#include "kernels/cuda/sm80/geometry.h"

namespace fovea::kernels::sm80 {

// The 16 stationary tokens of a warp: two halves of 8, one below the other, or side by side if the tile is a single row.
// Lane l holds token l / 4 of each half, as the rows of an m16n8 accumulator are laid out. Few tokens are shared by several warps, each
// of which meets one of `parts` parts of every stage.
struct WarpTokens {
  int y, x, step_y, step_x;
  int part = 0, parts = 1;

  FOVEA_HOST_DEVICE WarpTokens(const Work& work, int warp, int warps) {
    if (work.tile_height == 1) {
      if (work.split >= 0) {
        const int holders = divide_up(work.width, kSubtile);
        parts = larger(1, warps / holders);
        part = warp / holders;
        warp = part < parts ? warp % holders : warps;              // a warp too many: behind the last token
      }
      y = work.y0, x = work.x0 + warp * kSubtile, step_y = 0, step_x = kBlock;
    } else {
      const int warps_down = work.tile_height / 2;
      y = work.y0 + warp % warps_down * 2, x = work.x0 + warp / warps_down * kBlock, step_y = 1, step_x = 0;
    }
  }
  FOVEA_HOST_DEVICE bool exist(const Work& work) const { return y < work.height && x < work.width; }
};

// Rows and columns that some token of the warp meets; all columns between the inner ones are met by every token of the warp.
struct Reach {
  int row_first, row_last, column_first, column_last, inner_first, inner_last;
  // Halves below each other: the upper one does not meet the last row, the lower one not the first.
  FOVEA_HOST_DEVICE bool meets_row(int half, int row, bool flat) const {
    return row >= row_first + (flat ? 0 : half) && row <= row_last - (flat ? 0 : 1 - half);
  }
};

FOVEA_HOST_DEVICE Reach reach_of(const Work& work, const WarpTokens& tokens) {
  if (!tokens.exist(work)) return {0, -1, 0, -1, 0, -1};
  const int last = tokens.x + tokens.step_x + kBlock - 1;
  return {tokens.y - work.radius_y,
          tokens.y + tokens.step_y + work.radius_y,
          tokens.x - work.radius_x,
          last + work.radius_x,
          larger(last - work.radius_x, work.grid.column_first),
          smaller(tokens.x + work.radius_x, work.grid.column_last)};
}

}  // namespace fovea::kernels::sm80
