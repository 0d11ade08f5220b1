#include "kernels/cpu/block_plan.h"

#include <algorithm>

namespace fovea::kernels::cpu {
namespace {

// Packed keys and values of a block should stay in a core's L2 cache, and a block should be small enough to give every core several.
constexpr std::int64_t kMaxHaloBytes = 1 << 20;
constexpr std::int64_t kMaxBlockQueries = 1024;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t halo_side(std::int64_t side, std::int64_t window, std::int64_t grid) { return std::min(grid, side + window - 1); }

// The tile of `lanes` queries for which the grid costs the fewest query-key pairs; the wider one if two cost the same.
TileShape best_tile(const AttentionShape& shape, const SubGridSize& grid, int lanes) {
  TileShape best;
  std::int64_t best_cost = 0;
  for (int height = 1; height <= lanes; height *= 2) {
    const TileShape tile{height, lanes / height};
    const std::int64_t tiles = ceil_div(grid.height, tile.height) * ceil_div(grid.width, tile.width);
    const std::int64_t cost = tiles * halo_side(tile.height, shape.window_height, grid.height) *
                              ceil_div(halo_side(tile.width, shape.window_width, grid.width), 4) * 4;
    if (best_cost == 0 || cost < best_cost) {
      best = tile;
      best_cost = cost;
    }
  }
  return best;
}

// Grows a tile to a block: always the side whose halo weighs more, as long as the limits allow.
TileShape best_block(const AttentionShape& shape, const SubGridSize& grid, TileShape block) {
  const auto fits = [&](const TileShape& candidate) {
    const std::int64_t keys = halo_side(candidate.height, shape.window_height, grid.height) *
                              halo_side(candidate.width, shape.window_width, grid.width);
    return keys * shape.head_dim * 2 * static_cast<std::int64_t>(sizeof(float)) <= kMaxHaloBytes &&
           std::int64_t{candidate.height} * candidate.width <= kMaxBlockQueries;
  };
  for (;;) {
    const TileShape taller{block.height * 2, block.width}, wider{block.height, block.width * 2};
    const bool may_grow_taller = block.height < grid.height && fits(taller);
    const bool may_grow_wider = block.width < grid.width && fits(wider);
    if (!may_grow_taller && !may_grow_wider) return block;
    const bool halo_above_weighs_more = std::int64_t{block.height} * shape.window_width <= std::int64_t{block.width} * shape.window_height;
    block = may_grow_taller && (halo_above_weighs_more || !may_grow_wider) ? taller : wider;
  }
}

}  // namespace

Halo halo_of(const GridBlock& block, const AttentionShape& shape) {
  const std::int64_t reach_y = (shape.window_height - 1) / 2, reach_x = (shape.window_width - 1) / 2;
  return {.y0 = std::max<std::int64_t>(block.y0 - reach_y, 0), .y1 = std::min(block.y1 + reach_y, block.sub_height),
          .x0 = std::max<std::int64_t>(block.x0 - reach_x, 0), .x1 = std::min(block.x1 + reach_x, block.sub_width)};
}

SubGridSize largest_sub_grid(const AttentionShape& shape, int dilation) {
  return {ceil_div(shape.grid_height, dilation), ceil_div(shape.grid_width, dilation)};
}

void cut_into_blocks(const AttentionShape& shape, TileShape block, BlockPlan& plan) {
  const std::int64_t phases_y = std::min<std::int64_t>(plan.dilation, shape.grid_height);
  const std::int64_t phases_x = std::min<std::int64_t>(plan.dilation, shape.grid_width);
  for (std::int64_t phase_y = 0; phase_y < phases_y; ++phase_y) {
    for (std::int64_t phase_x = 0; phase_x < phases_x; ++phase_x) {
      const SubGridSize grid{ceil_div(shape.grid_height - phase_y, plan.dilation), ceil_div(shape.grid_width - phase_x, plan.dilation)};
      for (std::int64_t y = 0; y < grid.height; y += block.height) {
        for (std::int64_t x = 0; x < grid.width; x += block.width) {
          plan.blocks.push_back({.phase_y = phase_y, .phase_x = phase_x, .sub_height = grid.height, .sub_width = grid.width,
                                 .y0 = y, .y1 = std::min(y + block.height, grid.height),
                                 .x0 = x, .x1 = std::min(x + block.width, grid.width)});
          const Halo halo = halo_of(plan.blocks.back(), shape);
          plan.max_block_keys = std::max(plan.max_block_keys, halo.height() * halo.width());
        }
      }
    }
  }
}

std::vector<BlockPlan> plan_each_dilation(const AttentionShape& shape, const std::function<BlockPlan(int)>& make_plan) {
  std::vector<BlockPlan> plans;
  for (int head = 0; head < shape.heads; ++head) {
    const auto same = std::find_if(plans.begin(), plans.end(),
                                   [&](const BlockPlan& plan) { return plan.dilation == shape.dilation[head]; });
    if (same == plans.end()) {
      plans.push_back(make_plan(shape.dilation[head]));
      plans.back().heads.push_back(head);
    } else {
      same->heads.push_back(head);
    }
  }
  return plans;
}

std::vector<BlockPlan> plan_blocks(const AttentionShape& shape, int lanes) {
  return plan_each_dilation(shape, [&](int dilation) {
    BlockPlan plan{.dilation = dilation, .transposed = false, .tile = {}, .heads = {}, .blocks = {}};
    const SubGridSize largest = largest_sub_grid(shape, dilation);
    plan.tile = best_tile(shape, largest, lanes);
    cut_into_blocks(shape, best_block(shape, largest, plan.tile), plan);
    return plan;
  });
}

}  // namespace fovea::kernels::cpu
