// Which query tiles a thread block (CTA) works through, in which order, and which keys that brings past. Plain integers, tested on the
// host; docs/attention.md draws it.
//
// Dilation d cuts an axis into d interleaved phases; inside a phase the window is dense. A *strip* is a column of 8x8 query tiles, 8
// columns wide, of one phase of one (batch, head). A CTA rolls down strips; a *segment* is the part of a strip it takes in one go.
#pragma once

#include <cstdint>

#include "kernels/attention_params.h"
#include "kernels/cuda/host_device.h"

namespace fovea::kernels::sm90 {

constexpr int kTile = 8;                        // query tile: 8 x 8 = 64 rows, the M of one warpgroup's product
constexpr int kWarpgroups = 3;                  // consumers; tile n of a CTA belongs to warpgroup n % 3
constexpr int kPairRows = 2;                    // key rows of one stage
constexpr int kPanelColumns = 24;               // key columns of one stage: a tile's own 8 and 8 on either side
constexpr int kRollingRadius = 8;               // up to here the windows of tiles t and t + 3 have no key row in common
constexpr int kMaxGroups = 6;
constexpr int kMaxDilation = 8;                 // largest element stride of a tensor map

FOVEA_HOST_DEVICE int smaller(int a, int b) { return a < b ? a : b; }
FOVEA_HOST_DEVICE int larger(int a, int b) { return a > b ? a : b; }
FOVEA_HOST_DEVICE int divide_up(int a, int b) { return (a + b - 1) / b; }

struct Axis {
  int extent, dilation, radius;                 // tokens; steps; steps of `dilation` tokens
  FOVEA_HOST_DEVICE int phases() const { return smaller(dilation, extent); }
  FOVEA_HOST_DEVICE int length(int phase) const { return divide_up(extent - phase, dilation); }
};

// Heads that share a dilation. Every CTA takes `whole` whole strips, neighbours in x at the same time so that their halos meet in the
// L2 cache; the tiles of the strips that are left are split evenly: CTA i takes share + (i < extra) of them.
struct DilationGroup {
  Axis y, x;
  int first_head, heads;                        // range of Schedule::head_order
  int tiles_y, tiles_x;                         // of the longest phase
  int whole, share, extra;
};

struct Schedule {
  int heads, ctas, group_count;
  DilationGroup groups[kMaxGroups];
  std::uint8_t head_order[kMaxHeads];
};

// Pairs of key rows. Pair p holds rows 2p - parity and the one after it; the parity of the radius makes the first row that the (even)
// first query row of a warp sees the first row of a pair.
FOVEA_HOST_DEVICE int pair_row(int pair, int radius_y) { return pair * kPairRows - (radius_y & 1); }
FOVEA_HOST_DEVICE int first_pair(int tile, int radius_y) {
  return (larger(0, tile * kTile - radius_y) + (radius_y & 1)) / kPairRows;
}
FOVEA_HOST_DEVICE int end_pair(int tile, int radius_y, int rows) {
  return (smaller(rows - 1, tile * kTile + kTile - 1 + radius_y) + (radius_y & 1)) / kPairRows + 1;
}

struct Segment {
  int batch, head, group;
  bool first_of_head;                           // exactly one segment of a (batch, head) says so
  int phase_y, phase_x, rows, columns;          // of the phase; the coordinates below are the phase's
  int x0, tile_begin, tile_end;                 // empty: the CTA's work is done
  int pair_begin, pair_end, column_begin, panels;
};

class StripStream {
 public:
  FOVEA_HOST_DEVICE StripStream(const Schedule& schedule, int cta) : schedule_(schedule), cta_(cta) { enter_group(); }

  // The next segment; false and an empty one at the end. A (batch, head)'s segments follow one another only within a strip.
  FOVEA_HOST_DEVICE bool next(Segment& segment) {
    for (;;) {
      if (tile_ < tile_end_ && locate(segment)) return true;
      if (tile_ < tile_end_) continue;
      if (group_ == schedule_.group_count) break;
      take_strip();
    }
    segment.tile_begin = segment.tile_end = 0;
    return false;
  }

 private:
  FOVEA_HOST_DEVICE void enter_group() {
    if (group_ == schedule_.group_count) return;
    const DilationGroup& group = schedule_.groups[group_];
    wave_ = 0;
    rest_ = group.share * cta_ + smaller(cta_, group.extra);
    rest_end_ = rest_ + group.share + (cta_ < group.extra ? 1 : 0);
  }

  FOVEA_HOST_DEVICE void take_strip() {
    const DilationGroup& group = schedule_.groups[group_];
    if (wave_ < group.whole) {
      strip_ = wave_++ * schedule_.ctas + cta_;
      tile_ = 0;
      tile_end_ = group.tiles_y;
    } else if (rest_ < rest_end_) {
      strip_ = group.whole * schedule_.ctas + rest_ / group.tiles_y;
      tile_ = rest_ % group.tiles_y;
      tile_end_ = smaller(group.tiles_y, tile_ + rest_end_ - rest_);
      rest_ += tile_end_ - tile_;
    } else {
      ++group_;
      enter_group();
    }
  }

  // Decodes the strip and cuts off the next segment; false if these tiles lie outside their phase, which may be shorter than the longest.
  FOVEA_HOST_DEVICE bool locate(Segment& segment) {
    const DilationGroup& group = schedule_.groups[group_];
    int rest = strip_;
    segment.x0 = rest % group.tiles_x * kTile;
    rest /= group.tiles_x;
    segment.phase_x = rest % group.x.phases();
    rest /= group.x.phases();
    segment.phase_y = rest % group.y.phases();
    rest /= group.y.phases();
    segment.head = schedule_.head_order[group.first_head + rest % group.heads];
    segment.batch = rest / group.heads;
    segment.group = group_;
    segment.rows = group.y.length(segment.phase_y);
    segment.columns = group.x.length(segment.phase_x);
    segment.tile_begin = tile_;
    const int limit = group.y.radius > kRollingRadius ? tile_ + kWarpgroups : tile_end_;
    segment.tile_end = smaller(smaller(tile_end_, limit), divide_up(segment.rows, kTile));
    tile_ = smaller(tile_end_, limit);
    if (segment.x0 >= segment.columns || segment.tile_begin >= segment.tile_end) return false;
    segment.first_of_head = segment.x0 + segment.phase_x + segment.phase_y + segment.tile_begin == 0;
    segment.pair_begin = first_pair(segment.tile_begin, group.y.radius);
    segment.pair_end = end_pair(segment.tile_end - 1, group.y.radius, segment.rows);
    segment.column_begin = larger(0, segment.x0 - divide_up(group.x.radius, kTile) * kTile);
    const int column_end = smaller(segment.columns, segment.x0 + kTile + group.x.radius);
    segment.panels = divide_up(column_end - segment.column_begin, kPanelColumns);
    return true;
  }

  const Schedule& schedule_;
  int cta_;
  int group_ = 0, wave_ = 0, rest_ = 0, rest_end_ = 0;
  int strip_ = 0, tile_ = 0, tile_end_ = 0;
};

}  // namespace fovea::kernels::sm90
