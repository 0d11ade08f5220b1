// What streams past a thread block, stage by stage, and which blocks of a stage a warp needs.
#pragma once

#include "kernels/cuda/sm80/geometry.h"

namespace fovea::kernels::sm80 {

// The part of the halo in one stage of the pipeline: `rows` x `blocks` blocks, stored row by row.
struct Stage {
  int row, rows, block, blocks;
};

__device__ inline Stage stage_of(const Halo& halo, int index, int stage_blocks) {
  int group = index, segment = 0;
  if (halo.segments > 1) {
    group = index / halo.segments;
    segment = index - group * halo.segments;
  }
  Stage stage;
  stage.row = halo.row_first + group * halo.rows_per_stage;
  stage.rows = smaller(halo.rows_per_stage, halo.row_last + 1 - stage.row);
  stage.block = segment * stage_blocks;
  stage.blocks = smaller(stage_blocks, halo.blocks_per_row - stage.block);
  return stage;
}

// The stationary tokens of a warp: kSub subtiles, that is 2 * kSub halves of 8 tokens, one below (or beside) the other.
// Lane l holds token l / 4 of each half, as the rows of an m16n8 accumulator are laid out.
template <int kSub>
struct WarpTokens {
  int y, x, step_y, step_x;

  __device__ WarpTokens(const Work& work, int warp) {
    if (work.tile_height == 1) {
      y = work.y0, x = work.x0 + warp * kSub * kSubtile, step_y = 0, step_x = kBlock;
    } else {
      const int warps_down = work.tile_height / (2 * kSub);
      y = work.y0 + warp % warps_down * 2 * kSub, x = work.x0 + warp / warps_down * kBlock, step_y = 1, step_x = 0;
    }
  }
  __device__ bool exist(const Work& work) const { return y < work.height && x < work.width; }
  __device__ int token(const Work& work, int half, int group) const {      // -1: outside the grid
    const int row = y + half * step_y, column = x + half * step_x + group;
    if (row >= work.height || column >= work.width) return -1;
    return work.map.base + row * work.map.row_stride + column * work.map.column_stride;
  }
};

// This lane's tokens in the sequence; -1: outside the grid.
template <int kSub>
struct LaneTokens {
  int token[2 * kSub];
  __device__ LaneTokens(const Work& work, const WarpTokens<kSub>& tokens) {
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) token[half] = tokens.token(work, half, threadIdx.x % 32 / 4);
  }
};

// Rows and columns that some token of the warp meets.
struct Reach {
  int row_first, row_last, column_first, column_last;
};

template <int kSub>
__device__ Reach reach_of(const Work& work, const WarpTokens<kSub>& tokens) {
  if (!tokens.exist(work)) return {0, -1, 0, -1};
  const int last = 2 * kSub - 1;
  return {tokens.y - work.radius_y, tokens.y + last * tokens.step_y + work.radius_y, tokens.x - work.radius_x,
          tokens.x + last * tokens.step_x + kBlock - 1 + work.radius_x};
}

// Which streamed tokens each token of this lane meets: columns low .. low + count - 1 of rows row_low + half * step_y .. + row_span.
template <int kSub>
struct WindowMask {
  int low[2 * kSub];
  unsigned count[2 * kSub];
  int row_low, step_y;
  unsigned row_span;

  __device__ WindowMask(const Work& work, const WarpTokens<kSub>& tokens, int group) {
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) {
      const int column = tokens.x + half * tokens.step_x + group;
      low[half] = larger(column - work.radius_x, work.grid.column_first);
      count[half] = unsigned(larger(0, smaller(column + work.radius_x, work.grid.column_last) + 1 - low[half]));
    }
    row_low = tokens.y - work.radius_y;
    step_y = tokens.step_y;
    row_span = unsigned(2 * work.radius_y);
  }
  __device__ void meet_all(int columns) {
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) low[half] = 0, count[half] = unsigned(columns);
    row_span = 0xffffffffu;
  }
  // How many columns this lane's token in `half` meets in a row; 0 if the row is out of its reach.
  __device__ unsigned columns_met(int half, int row) const { return unsigned(row - row_low - half * step_y) <= row_span ? count[half] : 0u; }
};

// The next blocks a warp works on. `slot`: where the block lies in the stage; a missing one repeats a slot and is masked by its column.
template <int kCount>
struct Blocks {
  int slot[kCount], row[kCount], column[kCount];
};

constexpr int kNoColumn = -(1 << 30) - (1 << 29);

// The blocks of a stage that a warp needs: a rectangle, walked row by row.
class BlockRun {
 public:
  __device__ BlockRun(const Halo& halo, const Stage& stage, const Reach& reach)
      : stage_row_(stage.row), stage_blocks_(stage.blocks), column_(halo.column_begin + stage.block * kBlock) {
    const int row_first = larger(stage.row, reach.row_first), row_last = smaller(stage.row + stage.rows - 1, reach.row_last);
    const int last = smaller(stage.blocks - 1, ((reach.column_last - halo.column_begin) >> 3) - stage.block);
    first_ = larger(0, ((reach.column_first - halo.column_begin) >> 3) - stage.block);
    end_ = last + 1;
    row_ = row_first - stage.row;
    block_ = first_;
    left_ = larger(0, row_last + 1 - row_first) * larger(0, end_ - first_);
  }
  __device__ int left() const { return left_; }

  template <int kCount>
  __device__ Blocks<kCount> take() {
    Blocks<kCount> blocks;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      blocks.slot[i] = left_ > 0 || i == 0 ? row_ * stage_blocks_ + block_ : blocks.slot[0];
      blocks.row[i] = stage_row_ + row_;
      blocks.column[i] = left_ > 0 ? column_ + block_ * kBlock : kNoColumn;
      --left_;
      if (++block_ == end_) block_ = first_, ++row_;
    }
    return blocks;
  }

 private:
  int stage_row_, stage_blocks_, column_;
  int first_, end_, row_, block_, left_;
};

}  // namespace fovea::kernels::sm80
