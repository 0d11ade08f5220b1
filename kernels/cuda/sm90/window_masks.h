// Which keys of a stage a thread's two query rows see: a rectangle, so rows and columns are decided apart. Host and device.
//
// Accumulator layout of wgmma (PTX ISA, "Register Fragments"): a warp holds query rows 2w and 2w + 1 of the tile; a thread holds query
// column lane / 4 of both and, of every block of 8 key columns, columns 2 * (lane % 4) and the next.
#pragma once

#include <cstdint>

#include "kernels/cuda/sm90/strip_stream.h"

namespace fovea::kernels::sm90 {

// How a warp's two query rows (0 and 1) see pairs of key rows. A pair's offset is its first row less the first row that query row 0 may
// see; it is even (strip_schedule.h), so that only the first and the last pair of the window are cut, and those at the grid's edges.
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
