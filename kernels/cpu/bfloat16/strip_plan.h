// How the grid is cut for products of bfloat16 matrices: into strips one tile wide, so that the tokens a tile meets, a few whole rows of
// the strip's halo, are one run in memory once packed, and fill matrices of 32 tokens without gaps.
//
//      halo: 24 x (4 + 16) tokens, radius 8        packed row by row: tokens 96 t ... 96 t + 479 for tile t
//     +--------+--------+--------+
//     |        |        |        |
//     |        +========+        |
//     |        | tile t |        |   8 x 4 queries
//     |        +========+        |
//     |        | t + 1  |        |
//     |        |        |        |
#pragma once

#include <vector>

#include "kernels/cpu/block_plan.h"

namespace fovea::kernels::cpu::bfloat16 {

constexpr int kTileQueries = 32;

// One plan for each distinct dilation. Strips run down the columns or, if that costs less, along the rows (transposed). packed_rows: how
// many rows of head_dim are packed for each token of a halo.
std::vector<BlockPlan> plan_strips(const AttentionShape& shape, int packed_rows);

// The shape with the sides of grid and window exchanged if transposed.
AttentionShape oriented(AttentionShape shape, bool transposed);

}  // namespace fovea::kernels::cpu::bfloat16
