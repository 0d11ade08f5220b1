// Which work a thread block has: decoded from its index, once, into shared memory.
#pragma once

#include "kernels/cuda/sm80/geometry.h"

namespace fovea::kernels::sm80 {

// Rows of a strip are met in pairs (two blocks of 8 tokens are the k of a product), of a single row its blocks are.
FOVEA_HOST_DEVICE void cut_into_stages(Halo& halo, bool flat, int stage_blocks) {
  const int row_pairs = flat ? 1 : divide_up(halo.row_last + 1 - halo.row_begin, 2);
  halo.blocks_per_row = divide_up(halo.column_last + 1 - halo.column_begin, kBlock);
  if (flat) halo.blocks_per_row += halo.blocks_per_row % 2;
  const int most_blocks = flat ? stage_blocks / 2 * 2 : stage_blocks / 2;
  const int even_share = divide_up(halo.blocks_per_row, divide_up(halo.blocks_per_row, most_blocks));
  halo.blocks_per_stage_row = flat ? even_share + even_share % 2 : even_share;
  halo.panels = divide_up(halo.blocks_per_row, halo.blocks_per_stage_row);
  halo.stages = row_pairs * halo.panels;
}

// The global tokens as tiles of a single row, which meet part `split` of the sequence.
FOVEA_HOST_DEVICE void place_global_tokens(const Layout& layout, int split, Work& work) {
  work.split = split;
  work.map = {0, 0, 1};
  work.y0 = work.x0 = 0;
  work.height = 1;
  work.width = layout.global_tokens;
  work.flat = true;
  work.tile_height = 1;
  work.tile_width = kSubtile * layout.subtiles;
  work.across = divide_up(layout.global_tokens, work.tile_width);
  work.down = larger(1, layout.warps / work.across);               // warps that share tokens, each meets some of the stages
  work.tiles = 1;
  work.radius_y = 0;
  work.radius_x = layout.tokens;
  work.global_columns = 0;                      // they are part of the sequence
}

// A share of the whole sequence streams past them.
FOVEA_HOST_DEVICE bool locate_global_share(const Layout& layout, int split, Work& work) {
  place_global_tokens(layout, split, work);
  Halo& halo = work.grid;
  halo.map = work.map;
  halo.row_first = halo.row_last = halo.row_begin = 0;
  halo.column_begin = halo.column_first = split * layout.split_tokens;
  halo.column_last = smaller(layout.tokens - halo.column_first, layout.split_tokens) + halo.column_first - 1;
  cut_into_stages(halo, work.flat, layout.stage_blocks);
  return true;
}

FOVEA_HOST_DEVICE void surround(const Layout& layout, Work& work) {
  Halo& halo = work.grid;
  halo.map = work.map;
  const int bottom = smaller(work.height, work.y0 + work.tile_height * work.tiles), top = work.y0 - work.radius_y;
  halo.row_first = larger(0, top);
  halo.row_last = smaller(work.height, bottom + work.radius_y) - 1;
  const int left = work.x0 - work.radius_x;
  halo.column_first = larger(0, left);
  halo.column_last = smaller(work.width, work.x0 + work.tile_width * work.across + work.radius_x) - 1;
  // Pairs of rows and blocks of columns stay aligned with the window of the first tile: then each tile needs the fewest of them.
  halo.row_begin = work.flat || top >= 0 ? halo.row_first : -(-top % 2);
  halo.column_begin = left >= 0 ? left : left + -left / kBlock * kBlock;
  cut_into_stages(halo, work.flat, layout.stage_blocks);
}

// False if this thread block has nothing to do: heads differ in their number of strips, phases in their length.
FOVEA_HOST_DEVICE bool locate(const Layout& layout, const HeadTable& heads, unsigned index, Work& work) {
  const unsigned plane = index / layout.blocks_per_plane;
  int local = int(index - plane * layout.blocks_per_plane);
  work.batch = int(plane / unsigned(layout.heads));
  work.head = int(plane % unsigned(layout.heads));
  if (!layout.rides) {
    if (local < layout.splits) return locate_global_share(layout, local, work);
    local -= layout.splits;
  }
  const Tiling tiling = make_tiling(layout, heads.dilation[work.head], heads.strip(work.head));
  work.strip = local;
  if (local >= tiling.strips()) return false;
  const int per_phase = tiling.strips_y * tiling.strips_x, phase = local / per_phase;
  const int phase_y = phase / tiling.x.dilation, phase_x = phase - phase_y * tiling.x.dilation;
  const int strip = local - phase * per_phase, strip_y = strip / tiling.strips_x;

  work.split = -1;
  work.flat = tiling.flat;
  work.height = tiling.y.phase_length(phase_y);
  work.width = tiling.x.phase_length(phase_x);
  work.tile_height = tiling.tile_height;
  work.tile_width = tiling.tile_width;
  work.across = tiling.across;
  work.down = tiling.down;
  work.y0 = strip_y * tiling.tile_height * tiling.tiles;
  work.x0 = (strip - strip_y * tiling.strips_x) * tiling.tile_width * tiling.across;   // neighbours run together: their halos meet in L2
  if (work.y0 >= work.height || work.x0 >= work.width) return false;
  work.tiles = smaller(tiling.tiles, divide_up(work.height - work.y0, tiling.tile_height));
  work.radius_y = tiling.y.radius;
  work.radius_x = tiling.x.radius;
  const int row_step = tiling.transposed ? 1 : layout.width, column_step = tiling.transposed ? layout.width : 1;
  work.map = {layout.global_tokens + phase_y * row_step + phase_x * column_step, tiling.y.dilation * row_step,
              tiling.x.dilation * column_step};
  work.global_columns = layout.global_tokens;
  surround(layout, work);
  return true;
}

// The rows and columns of a strip's own tokens, row by row what the global tokens meet when they ride along.
struct OwnTokens {
  int row_first, row_last, column_first, column_last;
  FOVEA_HOST_DEVICE explicit OwnTokens(const Work& work)
      : row_first(work.y0), row_last(smaller(work.height, work.y0 + work.tile_height * work.tiles) - 1), column_first(work.x0),
        column_last(smaller(work.width, work.x0 + work.tile_width * work.across) - 1) {}
  FOVEA_HOST_DEVICE bool has_row(int row) const { return row >= row_first && row <= row_last; }
};

}  // namespace fovea::kernels::sm80
