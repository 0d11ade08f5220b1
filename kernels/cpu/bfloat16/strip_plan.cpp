#include "kernels/cpu/bfloat16/strip_plan.h"

#include <algorithm>
#include <utility>

namespace fovea::kernels::cpu::bfloat16 {
namespace {

// Packed keys and values of a block should stay in a core's L2 cache; blocks should be small enough to give every core several, and tall
// enough that packing the halo's ends costs little.
constexpr std::int64_t kMaxHaloBytes = 1 << 20;
constexpr std::int64_t kMaxBlockQueries = 1024;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

struct Candidate {
  bool transposed = false;
  TileShape tile, block;
  double cost = 0;
};

// As tall as the limits allow.
TileShape block_of(const AttentionShape& shape, const SubGridSize& grid, TileShape tile, int packed_rows) {
  const std::int64_t halo_width = std::min<std::int64_t>(grid.width, tile.width + shape.window_width - 1);
  TileShape block = tile;
  while (block.height < grid.height && std::int64_t{2} * block.height * block.width <= kMaxBlockQueries) {
    const std::int64_t halo_height = std::min<std::int64_t>(grid.height, 2 * block.height + shape.window_height - 1);
    const bool in_cache = halo_width * halo_height * shape.head_dim * packed_rows * 2 <= kMaxHaloBytes;
    const bool mostly_halo = halo_height > 4 * block.height;
    if (!in_cache && !mostly_halo) break;
    block.height *= 2;
  }
  return block;
}

// Cycles of a whole sub-grid, roughly: matrix products of everything a tile meets, exponentials of the rows its queries see, packing.
double cost_of(const AttentionShape& shape, const SubGridSize& grid, TileShape tile, TileShape block) {
  constexpr double kProductCyclesPerDepth = 1.0 / 8, kCyclesPerVector = 6, kPackingCyclesPerDepth = 0.3;
  const auto width = static_cast<double>(std::min<std::int64_t>(grid.width, tile.width + shape.window_width - 1));
  const auto rows = static_cast<double>(std::min<std::int64_t>(grid.height, tile.height + shape.window_height - 1));
  const auto seen_rows = static_cast<double>(std::min<std::int64_t>(grid.height, shape.window_height));
  const auto halo_rows = static_cast<double>(std::min<std::int64_t>(grid.height, block.height + shape.window_height - 1));
  const double depth = std::max(32, shape.head_dim);
  const double tiles = static_cast<double>(ceil_div(grid.height, tile.height) * ceil_div(grid.width, tile.width));
  const double strips = static_cast<double>(ceil_div(grid.height, block.height) * ceil_div(grid.width, block.width));
  const double products = (rows * width + 16) * depth * kProductCyclesPerDepth;
  const double exponentials = kTileQueries * (seen_rows * width / 16 + 1) * kCyclesPerVector;
  return tiles * (products + exponentials) + strips * halo_rows * width * depth * kPackingCyclesPerDepth;
}

Candidate best_strips(const AttentionShape& shape, int dilation, int packed_rows) {
  Candidate best;
  for (const bool transposed : {false, true}) {
    const AttentionShape seen = oriented(shape, transposed);
    const SubGridSize grid = largest_sub_grid(seen, dilation);
    for (int width = 1; width <= kTileQueries; width *= 2) {
      const TileShape tile{.height = kTileQueries / width, .width = width}, block = block_of(seen, grid, tile, packed_rows);
      const double cost = cost_of(seen, grid, tile, block);
      if (best.cost == 0 || cost < best.cost) best = {.transposed = transposed, .tile = tile, .block = block, .cost = cost};
    }
  }
  return best;
}

}  // namespace

AttentionShape oriented(AttentionShape shape, bool transposed) {
  if (transposed) {
    std::swap(shape.grid_height, shape.grid_width);
    std::swap(shape.window_height, shape.window_width);
  }
  return shape;
}

std::vector<BlockPlan> plan_strips(const AttentionShape& shape, int packed_rows) {
  return plan_each_dilation(shape, [&](int dilation) {
    const Candidate best = best_strips(shape, dilation, packed_rows);
    BlockPlan plan{.dilation = dilation, .transposed = best.transposed, .tile = best.tile, .heads = {}, .blocks = {}};
    cut_into_blocks(oriented(shape, best.transposed), best.block, plan);
    return plan;
  });
}

}  // namespace fovea::kernels::cpu::bfloat16
