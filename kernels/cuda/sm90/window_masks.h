// Which keys of a stage a thread's two query rows see: a rectangle, so rows and columns are decided apart. Host and device.
//
// Accumulator layout of wgmma (PTX ISA, "Register Fragments"): a warp holds query rows 2w and 2w + 1 of the tile; a thread holds query
// column lane / 4 of both and, of every block of 8 key columns, columns 2 * (lane % 4) and the next.
#pragma once

#include <cstdint>

#include "kernels/cuda/sm90/strip_schedule.h"

namespace fovea::kernels::sm90 {

// The key rows of a pair as a warp's two query rows (0 and 1) see them. offset = the pair's first row - the first row that query row 0
// may see; it is even (strip_schedule.h), so that only the first and the last pair of the window are cut.
struct PairMask {
  int offset, first_row;                        // first_row: of the pair, in the phase's grid; may be -1
  FOVEA_HOST_DEVICE bool visible(int radius_y) const { return offset >= 0 && offset <= 2 * radius_y; }
  FOVEA_HOST_DEVICE bool cut(int radius_y, int rows) const {
    return offset == 0 || offset == 2 * radius_y || first_row < 0 || first_row + 1 >= rows;
  }
  FOVEA_HOST_DEVICE bool sees(int query_row, int row, int radius_y, int rows) const {
    const int distance = offset + row - query_row;
    return distance >= 0 && distance <= 2 * radius_y && first_row + row >= 0 && first_row + row < rows;
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
