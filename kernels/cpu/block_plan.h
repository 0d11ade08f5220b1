// How the grid is cut: sub-grids of a dilation, blocks that share packed keys and values, tiles of as many queries as a vector has lanes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/attention_params.h"

namespace fovea::kernels::cpu {

// Keys are scored in groups: a run of them is padded to one, and the padding hidden.
constexpr std::size_t kTokenGroup = 4;

struct TileShape {
  int height = 1, width = 1;   // height * width = lanes of a vector
};

// One task: the tokens y0 <= y < y1, x0 <= x < x1 of a sub-grid. With dilation d, the rows phase_y, phase_y + d, ... and the columns
// phase_x, phase_x + d, ... form a grid of their own in which the window is dense. In a transposed plan x and y have changed places.
struct GridBlock {
  std::int64_t phase_y = 0, phase_x = 0;
  std::int64_t sub_height = 0, sub_width = 0;
  std::int64_t y0 = 0, y1 = 0, x0 = 0, x1 = 0;
};

// The blocks of every sub-grid of one dilation, and the shape of tiles. Depends on the shape alone, not on threads, so that results do
// not either.
struct BlockPlan {
  int dilation = 1;
  bool transposed = false;
  TileShape tile;
  std::vector<int> heads;               // that use this dilation
  std::vector<GridBlock> blocks;
  std::int64_t max_block_keys = 0;      // tokens in the largest halo
};

// One plan for each distinct dilation, with the tile of `lanes` queries that executes the fewest query-key pairs.
std::vector<BlockPlan> plan_blocks(const AttentionShape& shape, int lanes);

// One plan for each distinct dilation, made by make_plan(dilation), which leaves the heads empty.
std::vector<BlockPlan> plan_each_dilation(const AttentionShape& shape, const std::function<BlockPlan(int dilation)>& make_plan);

// Adds the blocks of every sub-grid of the plan's dilation. shape: as the plan sees it, with sides exchanged if it is transposed.
void cut_into_blocks(const AttentionShape& shape, TileShape block, BlockPlan& plan);

// The largest sub-grid of a dilation.
struct SubGridSize {
  std::int64_t height, width;
};
SubGridSize largest_sub_grid(const AttentionShape& shape, int dilation);

// The halo of a block: tokens of the sub-grid within the window's radius of the block, clipped to the sub-grid.
struct Halo {
  std::int64_t y0, y1, x0, x1;
  std::int64_t height() const { return y1 - y0; }
  std::int64_t width() const { return x1 - x0; }
};
Halo halo_of(const GridBlock& block, const AttentionShape& shape);

}  // namespace fovea::kernels::cpu
