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
constexpr int kWarpgroups = 3;                  // consumers, where they have the registers; tile n of a CTA belongs to warpgroup n % 3
constexpr int kPairRows = 2;                    // key rows that are masked together; a stage holds one pair or two
constexpr int kPanelColumns = 24;               // key columns of one stage: a tile's own 8 and 8 on either side
constexpr int kMaxGroups = 6;
constexpr int kMaxCtas = 256;
constexpr int kMaxDilation = 8;                 // largest element stride of a tensor map

FOVEA_HOST_DEVICE int smaller(int a, int b) { return a < b ? a : b; }
FOVEA_HOST_DEVICE int larger(int a, int b) { return a > b ? a : b; }
FOVEA_HOST_DEVICE int divide_up(int a, int b) { return (a + b - 1) / b; }

// Up to here the windows of tiles t and t + warpgroups have no key row in common.
FOVEA_HOST_DEVICE int rolling_radius(int warpgroups) { return kTile / 2 * (warpgroups - 1); }

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
  int most_tiles;                               // of a segment: no warpgroup may need a key row again that it has passed
  int whole, share, extra;
};

struct Schedule {
  int heads, ctas, group_count;
  int band_rows;                                // key rows of a stage
  DilationGroup groups[kMaxGroups];
  std::uint8_t head_order[kMaxHeads];
};

// Bands of key rows, those of a stage. They are placed so that the first row that a tile of queries sees is the first row of a band; then
// the first row that the (even) first query row of a warp sees is the first of a pair.
FOVEA_HOST_DEVICE int band_row(int band, int radius_y, int band_rows) { return band * band_rows - radius_y % band_rows; }
FOVEA_HOST_DEVICE int first_band(int tile, int radius_y, int band_rows) {
  return (larger(0, tile * kTile - radius_y) + radius_y % band_rows) / band_rows;
}
FOVEA_HOST_DEVICE int end_band(int tile, int radius_y, int rows, int band_rows) {
  return (smaller(rows - 1, tile * kTile + kTile - 1 + radius_y) + radius_y % band_rows) / band_rows + 1;
}

}  // namespace fovea::kernels::sm90
