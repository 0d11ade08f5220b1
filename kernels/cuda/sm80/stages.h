// What streams past a thread block, stage by stage, and which blocks of a stage a warp meets. Plain integers; host and device.
#pragma once

#include "kernels/cuda/sm80/warp_tokens.h"

namespace fovea::kernels::sm80 {

// The part of the halo in one stage of the pipeline: `rows` x `blocks` blocks, stored row by row.
struct Stage {
  int row, rows, blocks;
  int column;                                   // of the first token of a row
  int slot;                                     // of the first block, in the stage's buffers
};

FOVEA_HOST_DEVICE Stage stage_of(const Halo& halo, int index) {
  int group = index, segment = 0;
  if (halo.segments > 1) {
    group = index / halo.segments;
    segment = index - group * halo.segments;
  }
  Stage stage;
  stage.row = halo.row_first + group * halo.rows_per_stage;
  stage.rows = smaller(halo.rows_per_stage, halo.row_last + 1 - stage.row);
  const int block = segment * halo.blocks_per_stage_row;
  stage.blocks = smaller(halo.blocks_per_stage_row, halo.blocks_per_row - block);
  stage.column = halo.column_begin + block * kBlock;
  stage.slot = 0;
  return stage;
}

// The stage after `stage`; index: its number.
FOVEA_HOST_DEVICE Stage next_stage(const Halo& halo, const Stage& stage, int index) {
  if (index == 0 || halo.segments > 1) return stage_of(halo, index);
  Stage next = stage;
  next.row += halo.rows_per_stage;
  next.rows = smaller(halo.rows_per_stage, halo.row_last + 1 - next.row);
  return next;
}

// 2 x kColumns blocks that a warp meets at once. The second row of blocks lies below the first, or continues it to the right (`flat`).
template <int kColumns>
struct Patch {
  static constexpr int kCount = 2 * kColumns;
  int slot[kCount];                             // where each block lies in the stage; a missing one repeats another and is masked
  int row, column;                              // of the first token
  int rows, blocks;                             // how many rows (of 2), and blocks in a row, are there
  bool flat;

  FOVEA_HOST_DEVICE int row_of(int i) const { return flat ? row : row + i / kColumns; }
  FOVEA_HOST_DEVICE int column_of(int i) const { return column + kBlock * (flat ? i : i % kColumns); }
  FOVEA_HOST_DEVICE bool exists(int i) const { return flat ? i < blocks : i / kColumns < rows; }
};

// The part of a stage that a warp meets: rows [row, row_end), blocks [block, block_end), numbered inside the stage.
struct Rectangle {
  int row, row_end, block, block_end;

  FOVEA_HOST_DEVICE Rectangle(const Stage& stage, const Reach& reach) {
    row = larger(0, reach.row_first - stage.row);
    row_end = smaller(stage.rows, reach.row_last + 1 - stage.row);
    block = larger(0, (reach.column_first - stage.column) >> 3);
    block_end = smaller(stage.blocks, ((reach.column_last - stage.column) >> 3) + 1);
  }
  FOVEA_HOST_DEVICE void keep_part(const Stage& stage, int part, int parts) {              // in pairs, the least a warp works on
    const int pairs = (stage.blocks + 1) / 2;
    block = 2 * (pairs * part / parts);
    block_end = smaller(stage.blocks, 2 * (pairs * (part + 1) / parts));
  }

  template <int kColumns>
  FOVEA_HOST_DEVICE Patch<kColumns> patch(const Stage& stage, bool flat) const {
    Patch<kColumns> p;
    p.row = stage.row + row;
    p.column = stage.column + block * kBlock;
    p.rows = row_end - row;
    p.blocks = block_end - block;
    p.flat = flat;
    const int first = stage.slot + row * stage.blocks + block, below = p.rows > 1 ? stage.blocks : 0;
    for (int i = 0; i < 2 * kColumns; ++i)
      p.slot[i] = first + (flat ? smaller(i, p.blocks - 1) : i % kColumns + (i < kColumns ? 0 : below));
    return p;
  }
};

}  // namespace fovea::kernels::sm80
