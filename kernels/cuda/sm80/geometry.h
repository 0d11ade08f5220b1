// How the grid of a head is cut into strips, one thread block each, and which tokens stream past them. Plain integers; host and device.
//
// Dilation d along an axis splits it into d interleaved phases; inside a phase the window is dense. So a strip lies in one phase, and
// everything below it speaks of rows and columns of the phase; TokenMap leads back to the sequence.
#pragma once

#include <cstdint>

#include "kernels/attention_params.h"
#include "kernels/cuda/host_device.h"

namespace fovea::kernels::sm80 {

constexpr int kBlock = 8;        // tokens of a block, consecutive in a row: the n of an m16n8 product
constexpr int kMaxStages = 16;   // of the ring
constexpr int kSubtile = 16;     // the m of the product; two rows of 8 tokens, or one row of 16 if the strip is a single row

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

// What all heads share. As queries (and, backward, as keys) the global tokens meet the sequence in `splits` parts: either they ride along
// with the strips, each of which is a part; or thread blocks of their own take equal shares of the sequence, before the strips.
struct Layout {
  int heads, height, width, global_tokens, tokens;
  int radius_y, radius_x;
  bool rides;
  int splits, split_tokens;                     // split_tokens: of a share
  unsigned blocks_per_plane;                    // thread blocks of one (batch, head): shares + the most strips of any head
  int warps, subtiles;                          // consumer warps of a thread block; subtiles each of them keeps
  int stage_blocks, stages;                     // room of a stage of the ring, in blocks of 8 tokens; stages in flight
};

// The shape of a head's strips, in tiles: side by side (in strips of a single row all warps are), and below each other.
struct StripShape {
  int across, tiles;
};
struct HeadTable {
  std::int32_t dilation[kMaxHeads];
  std::uint16_t tiles[kMaxHeads];
  std::uint8_t across[kMaxHeads];
  FOVEA_HOST_DEVICE StripShape strip(int head) const { return {across[head], tiles[head]}; }
};

// A warp takes one tile after the other; warps below each other take them in turn: tile t of a strip belongs to warp row t % down.
struct Tiling {
  Axis y, x;
  bool transposed;                              // y is the grid's width: windows of a single column become windows of a single row
  bool flat;                                    // windows of a single row: tiles are pieces of a row
  int tile_height, tile_width;                  // of one warp
  int across, down, tiles;                      // warps side by side and below each other; tiles below each other in a strip
  int strips_y, strips_x;                       // of the longest phase
  FOVEA_HOST_DEVICE std::int64_t strips() const { return std::int64_t(y.dilation) * x.dilation * strips_y * strips_x; }
};

FOVEA_HOST_DEVICE Tiling make_tiling(const Layout& layout, int dilation, StripShape shape) {
  Tiling t;
  t.y = make_axis(layout.height, layout.radius_y, dilation);
  t.x = make_axis(layout.width, layout.radius_x, dilation);
  t.transposed = t.x.radius == 0 && t.y.radius > 0;
  if (t.transposed) {
    const Axis rows = t.x;
    t.x = t.y;
    t.y = rows;
  }
  t.flat = t.y.radius == 0;
  t.tile_height = t.flat ? 1 : 2 * layout.subtiles;
  t.tile_width = t.flat ? kSubtile * layout.subtiles : kBlock;
  t.across = t.flat ? layout.warps : shape.across;
  t.down = layout.warps / t.across;
  t.tiles = t.flat ? 1 : shape.tiles;
  t.strips_y = divide_up(t.y.phase_length(0), t.tile_height * t.tiles);
  t.strips_x = divide_up(t.x.phase_length(0), t.tile_width * t.across);
  return t;
}

// token = base + row * row_stride + column * column_stride.
struct TokenMap {
  int base, row_stride, column_stride;
};

// What streams past, in stages of whole blocks; tokens outside rows first..last and columns first..last are zeros and masked.
struct Halo {
  TokenMap map;
  int row_first, row_last, column_first, column_last;
  int row_begin, column_begin;                  // of the first stage and block; at most 1 row and 7 columns before the first
  int blocks_per_row, blocks_per_stage_row;     // a stage is two rows, one below the other (of a single row, that row), or pieces of them
  int panels, stages;                           // panels: pieces a row is cut into; stages in all
};

// One thread block's work. Its own ("stationary") tokens are rows y0.. and columns x0.. of `map`, those below height and width exist.
struct Work {
  int batch, head;
  int strip;                                    // number of the strip, of this (batch, head)
  int split;                                    // the global tokens as a tile: part of the sequence that they meet; -1: a strip of the grid
  TokenMap map;
  int y0, x0, height, width;
  bool flat;
  int tile_height, tile_width, across, down, tiles;
  int radius_y, radius_x;
  Halo grid;                                    // streams past: neighbours in the grid, or a share of the sequence
  int global_columns;                           // global tokens that every tile meets besides
};

}  // namespace fovea::kernels::sm80
