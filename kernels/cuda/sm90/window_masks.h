// Which keys of a stage a thread's two query rows see: a rectangle, so rows and columns are decided apart. Host and device.
//
// Accumulator layout of wgmma (PTX ISA, "Register Fragments"): a warp holds two groups of 8 queries, two rows of the tile (which: below); a
// thread holds query column lane / 4 of both and, of every block of 8 key columns, columns 2 * (lane % 4) and the next.
#pragma once

#include <cstdint>

#include "kernels/cuda/sm90/strip_stream.h"

namespace fovea::kernels::sm90 {

// Backward: warp w holds rows 2w and 2w + 1. How they (0 and 1) see pairs of key rows. A pair's offset is its first row less the first row
// that query row 0 may see; it is even (strip_schedule.h), so that only the first and the last pair of the window are cut, and those at
// the grid's edges.
struct RowWindow {
  int last;                                     // offset of the last pair in the window
  int whole_begin, whole_end;                   // offsets of pairs that are seen whole
  int origin, rows;                             // grid row = origin + offset; rows of the grid

  FOVEA_HOST_DEVICE RowWindow(int query_row, int radius_y, int grid_rows)
      : last(2 * radius_y), origin(query_row - radius_y), rows(grid_rows) {
    whole_begin = larger(1, -origin);
    whole_end = larger(whole_begin, smaller(last, rows - 1 - origin));
  }
  // All of `pairs` pairs from this one on.
  FOVEA_HOST_DEVICE bool whole(int offset, int pairs = 1) const {
    return offset >= whole_begin && offset + kPairRows * (pairs - 1) < whole_end;
  }
  FOVEA_HOST_DEVICE bool visible(int offset) const { return offset >= 0 && offset <= last; }
  FOVEA_HOST_DEVICE bool sees(int query_row, int key_row, int offset) const {
    const int distance = offset + key_row - query_row, row = origin + offset + key_row;
    return distance >= 0 && distance <= last && row >= 0 && row < rows;
  }
};

// Forward: warp w holds rows w and w + kRowDistance, of which one sees less in the first stages and the other in the last ones. Of
// neighbouring rows half of the warps would have nothing to do there while the others have everything, and a product waits for all.
constexpr int kRowDistance = kTile / 2;
// Row `row` of the tile is the place_of_row-th group of 8 queries in shared memory.
FOVEA_HOST_DEVICE int place_of_row(int row) { return row % kRowDistance * 2 + row / kRowDistance; }

// The first and the last grid row that each of a warp's two query rows sees.
struct RowReach {
  int first[2], last[2];
  FOVEA_HOST_DEVICE RowReach(int query_row, int radius_y, int grid_rows) {
    for (int i = 0; i < 2; ++i) {
      first[i] = larger(query_row + i * kRowDistance - radius_y, 0);
      last[i] = smaller(query_row + i * kRowDistance + radius_y, grid_rows - 1);
    }
  }
  // `count` grid rows from `row` on, by both.
  FOVEA_HOST_DEVICE bool whole(int row, int count) const { return row >= first[1] && row + count - 1 <= last[0]; }
  // Any of them, by one.
  FOVEA_HOST_DEVICE bool visible(int i, int row, int count) const { return row + count - 1 >= first[i] && row <= last[i]; }
  FOVEA_HOST_DEVICE bool sees(int i, int row) const { return row >= first[i] && row <= last[i]; }
};

// Bit 2 * block + j: this thread's query column sees key column 8 * block + 2 * (lane % 4) + j of the panel.
FOVEA_HOST_DEVICE std::uint32_t column_mask(const Segment& segment, int radius_x, int panel, int lane) {
  const int query = segment.x0 + lane / 4;
  const int origin = segment.column_begin + panel * kPanelColumns + 2 * (lane % 4);
  const int first = larger(0, query - radius_x) - origin, last = smaller(segment.columns - 1, query + radius_x) - origin;
  std::uint32_t mask = 0;
  for (int i = 0; i < 6; ++i) {
    const int position = (i / 2) * 8 + (i & 1);
    if (position >= first && position <= last) mask |= 1u << i;
  }
  return mask;
}

}  // namespace fovea::kernels::sm90
