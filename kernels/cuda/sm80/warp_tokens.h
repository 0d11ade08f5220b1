// The tokens that a warp keeps. Plain integers; host and device.
#pragma once

#include "kernels/cuda/sm80/geometry.h"

namespace fovea::kernels::sm80 {

// A warp's place in the strip: which tiles are its own. Few global tokens are shared by several warps, each of which meets every
// `parts`-th stage.
struct WarpPlace {
  int first_tile, x;                            // column of the first token of its tiles
  int part = 0, parts = 1;
  bool exists;

  FOVEA_HOST_DEVICE WarpPlace(const Work& work, int warp) {
    const int below = warp / work.across;
    x = work.x0 + (warp - below * work.across) * work.tile_width;
    exists = x < work.width && below < work.down;
    first_tile = below;
    if (work.split >= 0) part = below, parts = work.down, first_tile = 0;
  }
};

// The 16 * subtiles tokens of a tile: groups of 8, one below the other, or side by side if the strip is a single row. Lane l holds token
// l / 4 of each group, as the rows of an m16n8 accumulator are laid out.
struct Tile {
  int y, x, step_y, step_x;                     // of the first token; from group to group

  FOVEA_HOST_DEVICE Tile(const Work& work, const WarpPlace& place, int tile)
      : y(work.y0 + tile * work.tile_height), x(place.x), step_y(work.flat ? 0 : 1), step_x(work.flat ? kBlock : 0) {}

  // The token of this lane in the sequence; -1: outside the grid.
  FOVEA_HOST_DEVICE int token(const Work& work, int group, int lane) const {
    const int row = y + group * step_y, column = x + group * step_x + lane / 4;
    return row < work.height && column < work.width ? work.map.base + row * work.map.row_stride + column * work.map.column_stride : -1;
  }
};

}  // namespace fovea::kernels::sm80
