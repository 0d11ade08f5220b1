// Which work a thread block has: decoded from its index, once, into shared memory.
#pragma once

#include "kernels/cuda/sm80/geometry.h"

namespace fovea::kernels::sm80 {

// Tiles are visited in stripes 32 tiles wide, top to bottom, so that the halo of the row of tiles above is still in the L2 cache.
constexpr int kStripeTiles = 32;

FOVEA_HOST_DEVICE void tile_position(const Tiling& tiling, int index, int& tile_y, int& tile_x) {
  const int stripe = index / (kStripeTiles * tiling.tiles_y);
  const int width = smaller(kStripeTiles, tiling.tiles_x - stripe * kStripeTiles);
  const int rest = index - stripe * kStripeTiles * tiling.tiles_y;
  tile_y = rest / width;
  tile_x = stripe * kStripeTiles + rest % width;
}

// The global tokens as one tile of a single row; a share of the whole sequence streams past them.
FOVEA_HOST_DEVICE bool locate_global_share(const Layout& layout, int split, int stage_blocks, Work& work) {
  work.split = split;
  work.map = {0, 0, 1};
  work.y0 = work.x0 = 0;
  work.height = 1;
  work.width = layout.global_tokens;
  work.tile_height = 1;
  work.radius_y = 0;
  work.radius_x = layout.tokens;
  Halo& halo = work.grid;
  halo.map = work.map;
  halo.row_first = halo.row_last = 0;
  halo.column_begin = halo.column_first = split * layout.split_tokens;
  halo.column_last = smaller(layout.tokens - halo.column_first, layout.split_tokens) + halo.column_first - 1;
  cut_into_stages(halo, stage_blocks);
  work.globals.stages = 0;                      // they are part of the sequence
  work.globals_nearby = false;
  return true;
}

FOVEA_HOST_DEVICE void surround(const Layout& layout, const Tiling& tiling, int tile_height_used, int stage_blocks, Work& work) {
  Halo& halo = work.grid;
  halo.map = work.map;
  halo.row_first = larger(0, work.y0 - work.radius_y);
  halo.row_last = smaller(work.height, work.y0 + tile_height_used + work.radius_y) - 1;
  const int unclamped = work.x0 - work.radius_x;
  halo.column_first = larger(0, unclamped);
  halo.column_last = smaller(work.width, work.x0 + tiling.tile_width + work.radius_x) - 1;
  // Blocks stay aligned with the window of the tile's first column: then each subtile needs the fewest of them.
  halo.column_begin = unclamped >= 0 ? unclamped : unclamped + -unclamped / kBlock * kBlock;
  cut_into_stages(halo, stage_blocks);

  Halo& globals = work.globals;
  globals.stages = 0;
  work.globals_nearby = layout.global_tokens > 0 && layout.global_tokens <= kNearBlocks * kBlock;
  if (layout.global_tokens == 0) return;
  globals.map = {0, 0, 1};
  globals.row_first = globals.row_last = globals.column_first = globals.column_begin = 0;
  globals.column_last = layout.global_tokens - 1;
  cut_into_stages(globals, stage_blocks);
  if (work.globals_nearby) globals.stages = 0;
}

// False if this thread block has nothing to do: heads differ in their number of tiles, phases in their length.
FOVEA_HOST_DEVICE bool locate(const Layout& layout, const HeadTable& heads, unsigned index, int stage_blocks, Work& work) {
  const unsigned plane = index / layout.blocks_per_plane;
  int local = int(index - plane * layout.blocks_per_plane);
  work.batch = int(plane / unsigned(layout.heads));
  work.head = int(plane % unsigned(layout.heads));
  if (local < layout.splits) return locate_global_share(layout, local, stage_blocks, work);
  local -= layout.splits;
  const Tiling tiling = make_tiling(layout, heads.dilation[work.head], 1 << heads.tile_width_log2[work.head]);
  if (local >= tiling.tiles()) return false;
  const int per_phase = tiling.tiles_y * tiling.tiles_x;
  const int phase = tiling.y.dilation * tiling.x.dilation == 1 ? 0 : local / per_phase;
  const int phase_y = phase / tiling.x.dilation, phase_x = phase - phase_y * tiling.x.dilation;
  int tile_y, tile_x;
  tile_position(tiling, local - phase * per_phase, tile_y, tile_x);

  work.split = -1;
  work.height = tiling.y.phase_length(phase_y);
  work.width = tiling.x.phase_length(phase_x);
  work.y0 = tile_y * tiling.tile_height;
  work.x0 = tile_x * tiling.tile_width;
  if (work.y0 >= work.height || work.x0 >= work.width) return false;
  work.tile_height = tiling.tile_height;
  work.radius_y = tiling.y.radius;
  work.radius_x = tiling.x.radius;
  work.map = {layout.global_tokens + phase_y * layout.width + phase_x, tiling.y.dilation * layout.width, tiling.x.dilation};
  surround(layout, tiling, smaller(tiling.tile_height, work.height - work.y0), stage_blocks, work);
  return true;
}

}  // namespace fovea::kernels::sm80
