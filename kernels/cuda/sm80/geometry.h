// How the grid of a head is cut into tiles, one thread block each, and which tokens a tile meets. Plain integers; host and device.
//
// Dilation d along an axis splits it into d interleaved phases; inside a phase the window is dense. So a tile lies in one phase, and
// everything below it speaks of rows and columns of the phase; TokenMap leads back to the sequence.
#pragma once

#include <cstdint>

#include "kernels/attention_params.h"
#include "kernels/cuda/host_device.h"

namespace fovea::kernels::sm80 {

constexpr int kBlock = 8;        // tokens of a block, consecutive in a row: the n of an m16n8 product
constexpr int kNearBlocks = 2;   // room for global tokens beside the first stage
constexpr int kSubtile = 16;     // tokens of a warp: the m of the product; two rows of 8, or one row of 16 if the tile is one row

FOVEA_HOST_DEVICE int divide_up(int a, int b) { return (a + b - 1) / b; }
FOVEA_HOST_DEVICE int smaller(int a, int b) { return a < b ? a : b; }
FOVEA_HOST_DEVICE int larger(int a, int b) { return a > b ? a : b; }

struct Axis {
  int extent, dilation, radius;                 // tokens; steps; steps of `dilation` tokens, never past the phase
  FOVEA_HOST_DEVICE int phase_length(int phase) const { return dilation == 1 ? extent : divide_up(extent - phase, dilation); }
};

// A head that reaches no neighbour along an axis sees it as dense with radius 0: fewer, fuller tiles.
FOVEA_HOST_DEVICE Axis make_axis(int extent, int radius, int dilation) {
  if (radius == 0 || dilation >= extent) return {extent, 1, 0};
  if (dilation == 1) return {extent, 1, smaller(radius, extent - 1)};
  return {extent, dilation, smaller(radius, divide_up(extent, dilation) - 1)};
}

// What all heads share. Every thread block is either one of `splits` shares of the sequence, which the global tokens meet, or a tile.
struct Layout {
  int heads, height, width, global_tokens, tokens;
  int radius_y, radius_x;
  int splits, split_tokens;
  unsigned blocks_per_plane;                    // thread blocks of one (batch, head): splits + the most tiles of any head
  int tile_tokens;
};

struct HeadTable {
  std::int32_t dilation[kMaxHeads];
  std::uint8_t tile_width_log2[kMaxHeads];
};

struct Tiling {
  Axis y, x;
  int tile_height, tile_width, tiles_y, tiles_x;
  FOVEA_HOST_DEVICE std::int64_t tiles() const { return std::int64_t(y.dilation) * x.dilation * tiles_y * tiles_x; }
};

FOVEA_HOST_DEVICE Tiling make_tiling(const Layout& layout, int dilation, int tile_width) {
  Tiling t;
  t.y = make_axis(layout.height, layout.radius_y, dilation);
  t.x = make_axis(layout.width, layout.radius_x, dilation);
  t.tile_width = tile_width;
  t.tile_height = layout.tile_tokens / tile_width;
  t.tiles_y = divide_up(t.y.phase_length(0), t.tile_height);
  t.tiles_x = divide_up(t.x.phase_length(0), t.tile_width);
  return t;
}

// token = base + row * row_stride + column * column_stride; columns [first, last] of rows [row_first, row_last] are streamed.
struct TokenMap {
  int base, row_stride, column_stride;
};

struct Halo {
  TokenMap map;
  int row_first, row_last, column_first, column_last;
  int column_begin;                             // of block 0; may be up to 7 columns before column_first, which are masked
  int blocks_per_row, blocks_per_stage_row, rows_per_stage;     // a stage is rows_per_stage rows, or pieces of rows, one below the other
  int segments, stages;                         // pieces a row is cut into; stages in all
};

// Warps take rows by two, so a stage has an even number of them wherever the halo is higher than one row.
FOVEA_HOST_DEVICE void cut_into_stages(Halo& halo, int stage_blocks) {
  const int rows = halo.row_last + 1 - halo.row_first, most_blocks = rows > 1 ? stage_blocks / 2 : stage_blocks;
  halo.blocks_per_row = divide_up(halo.column_last + 1 - halo.column_begin, kBlock);
  halo.segments = divide_up(halo.blocks_per_row, most_blocks);
  halo.blocks_per_stage_row = halo.segments > 1 ? divide_up(halo.blocks_per_row, halo.segments) : halo.blocks_per_row;
  halo.rows_per_stage = rows > 1 ? stage_blocks / halo.blocks_per_stage_row / 2 * 2 : 1;
  halo.stages = divide_up(rows, halo.rows_per_stage) * halo.segments;
}

// One thread block's work. Its own ("stationary") tokens are rows y0.. and columns x0.. of `map`, those below height and width exist.
struct Work {
  int batch, head;
  int split;                                    // share of the sequence that the global tokens meet here; -1: a tile of the grid
  TokenMap map;
  int y0, x0, height, width, tile_height;
  int radius_y, radius_x;
  Halo grid, globals;                           // what streams past: neighbours in the grid, and the global tokens
  bool globals_nearby;                          // few global tokens come with the first stage, many in stages of their own, the last
};

}  // namespace fovea::kernels::sm80
