// Which scores of a patch count: this lane's tokens against two blocks of 8 streamed tokens. Plain integers; host and device.
//
// The blocks of a patch lie below each other (strips) or side by side (single rows, global tokens). In a strip the columns of the window
// are the same for all rows and decided for all scores of a patch at once; only the window's first and last pair
// of rows compare, and they compare rows, which are the same for the whole warp. Side by side, every score near the window's ends compares.
#pragma once

#include "kernels/cuda/sm80/stages.h"
#include "kernels/cuda/sm80/warp_tokens.h"

namespace fovea::kernels::sm80 {

// Strips: the columns that this lane's tokens meet, low .. low + count - 1.
struct ColumnWindow {
  int low;
  unsigned count;
  FOVEA_HOST_DEVICE ColumnWindow(const Work& work, const Tile& tile, int lane) {
    const int column = tile.x + lane / 4;
    low = larger(column - work.radius_x, work.grid.column_first);
    count = unsigned(larger(0, smaller(column + work.radius_x, work.grid.column_last) + 1 - low));
  }
  FOVEA_HOST_DEVICE ColumnWindow(int first, int last) : low(first), count(unsigned(last + 1 - first)) {}
  FOVEA_HOST_DEVICE bool meets(int column) const { return unsigned(column - low) < count; }
};

// Single rows: the columns that this lane's token of group 0 meets, low .. low + span; those of a later group are shifted; all of them
// within first .. last.
struct RowWindow {
  int low, first, last;
  unsigned span;
  FOVEA_HOST_DEVICE RowWindow(const Work& work, const Tile& tile, int lane)
      : low(tile.x + lane / 4 - work.radius_x), first(work.grid.column_first), last(work.grid.column_last),
        span(2u * unsigned(work.radius_x)) {}
  FOVEA_HOST_DEVICE RowWindow(int first_column, int last_column)
      : low(first_column), first(first_column), last(last_column), span(unsigned(last_column - first_column)) {}
  FOVEA_HOST_DEVICE bool meets(int column, int shift) const {
    return unsigned(column - shift - low) <= span && column >= first && column <= last;
  }
};

FOVEA_HOST_DEVICE int lane_column(int block_column, int j, int lane) { return block_column + 2 * (lane % 4) + j; }

// Strips: the rows that a tile meets, as distances from the first row that group 0 meets.
struct RowReach {
  int origin;                                   // that row
  int whole_first;                              // distances whole_first .. whole_first + whole_count - 1: all groups meet this row and the
  unsigned whole_count;                         // next
  FOVEA_HOST_DEVICE RowReach(const Work& work, const Tile& tile) : origin(tile.y - work.radius_y) {
    whole_first = larger(work.tile_height - 1, work.grid.row_first - origin);
    whole_count = unsigned(larger(0, smaller(2 * work.radius_y, work.grid.row_last - origin) - whole_first));
  }
  FOVEA_HOST_DEVICE bool whole(int distance) const { return unsigned(distance - whole_first) < whole_count; }
  // Bit i: group i of the tile meets the row at this distance.
  FOVEA_HOST_DEVICE unsigned groups_that_meet(const Work& work, int distance) const {
    const int low = larger(0, distance - 2 * work.radius_y), high = smaller(work.tile_height - 1, distance), row = origin + distance;
    if (high < low || row < work.grid.row_first || row > work.grid.row_last) return 0u;
    return (2u << high) - (1u << low);
  }
};

// Whether all tokens of the tile, side by side, meet columns first .. last.
FOVEA_HOST_DEVICE bool all_meet(const Work& work, const Tile& tile, int first, int last) {
  return first >= larger(tile.x + work.tile_width - 1 - work.radius_x, work.grid.column_first) &&
         last <= smaller(tile.x + work.radius_x, work.grid.column_last);
}

}  // namespace fovea::kernels::sm80
