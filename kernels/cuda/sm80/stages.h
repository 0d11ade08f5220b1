// What streams past a thread block, stage by stage, and which stages a tile meets. Plain integers; host and device.
#pragma once

#include "kernels/cuda/sm80/geometry.h"

namespace fovea::kernels::sm80 {

// The part of the halo in one stage of the pipeline: `rows` x `blocks` blocks, stored row by row. Of a strip, two rows; of a single row, an
// even number of blocks: what lies past the halo is zeros.
struct Stage {
  int row, rows, column, blocks;                // row and column of the first token
};

FOVEA_HOST_DEVICE Stage stage_of(const Halo& halo, bool flat, int index) {
  const int pair = halo.panels == 1 ? index : index / halo.panels, block = (index - pair * halo.panels) * halo.blocks_per_stage_row;
  return {halo.row_begin + 2 * pair, flat ? 1 : 2, halo.column_begin + block * kBlock,
          smaller(halo.blocks_per_stage_row, halo.blocks_per_row - block)};
}

struct StageRange {
  int begin, end;
};

// The stages that hold the rows which the tile of rows y .. y + tile_height - 1 meets.
FOVEA_HOST_DEVICE StageRange stages_of_tile(const Work& work, int y) {
  const Halo& halo = work.grid;
  if (work.flat) return {0, halo.stages};
  const int first = larger(0, y - work.radius_y - halo.row_begin);
  const int last = smaller(halo.row_last, y + work.tile_height - 1 + work.radius_y) - halo.row_begin;
  return {first / 2 * halo.panels, (last / 2 + 1) * halo.panels};
}

// Blocks of a stage that hold columns first .. last; those that a tile of columns x .. x + tile_width - 1 meets.
struct BlockRange {
  int begin, end;
};
FOVEA_HOST_DEVICE BlockRange blocks_of_columns(bool flat, int first, int last, const Stage& stage) {
  const BlockRange range{larger(0, (first - stage.column) >> 3), smaller(stage.blocks, ((last - stage.column) >> 3) + 1)};
  return flat ? BlockRange{range.begin / 2 * 2, smaller(stage.blocks, (range.end + 1) / 2 * 2)} : range;
}
FOVEA_HOST_DEVICE BlockRange blocks_of_tile(const Work& work, int x, const Stage& stage) {
  return blocks_of_columns(work.flat, larger(x - work.radius_x, work.grid.column_first),
                           smaller(x + work.tile_width - 1 + work.radius_x, work.grid.column_last), stage);
}

}  // namespace fovea::kernels::sm80
