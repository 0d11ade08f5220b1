#include "core/attention/analysis/tile_planes.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "core/attention/torch_threads.h"

namespace fovea::analysis {
namespace {

void add_tile(const GridRect& tile, const WindowOffsets& offsets, const HaloTile& part, TokenMap& sum) {
  float* target = sum.values.data_ptr<float>();
  const auto& whole = sum.support;
  const auto top = std::max(tile.y - offsets.reach_y, whole.y),
             bottom = std::min(tile.y + tile.height + offsets.reach_y, whole.y + whole.height);
  const auto left = std::max(tile.x - offsets.reach_x, whole.x),
             right = std::min(tile.x + tile.width + offsets.reach_x, whole.x + whole.width);
  for (std::int64_t y = top; y < bottom; ++y) {
    const float* from = part.values.data() + (y - tile.y + offsets.reach_y) * part.stride + (left - tile.x + offsets.reach_x);
    float* to = target + (y - whole.y) * whole.width + (left - whole.x);
    for (std::int64_t x = 0; x < right - left; ++x) to[x] += from[x];
  }
}

}  // namespace

HaloTile gathered(const TokenMap& c, const GridRect& tile, const WindowOffsets& offsets) {
  HaloTile part(tile, offsets);
  const auto top = std::max(tile.y - offsets.reach_y, c.support.y),
             bottom = std::min(tile.y + tile.height + offsets.reach_y, c.support.y + c.support.height);
  const auto left = std::max(tile.x - offsets.reach_x, c.support.x),
             right = std::min(tile.x + tile.width + offsets.reach_x, c.support.x + c.support.width);
  for (std::int64_t y = top; y < bottom && left < right; ++y) {
    std::copy_n(c.values.const_data_ptr<float>() + (y - c.support.y) * c.support.width + left - c.support.x, right - left,
                part.at(y - tile.y, left - tile.x, offsets));
  }
  return part;
}

bool all_zero(const TokenMap& r, const GridRect& tile) {
  const float* values = r.values.const_data_ptr<float>() + (tile.y - r.support.y) * r.support.width + tile.x - r.support.x;
  for (std::int64_t row = 0; row < tile.height; ++row, values += r.support.width) {
    if (std::any_of(values, values + tile.width, [](float value) { return value != 0; })) return false;
  }
  return true;
}

TokenMap zero_map(const AttentionLayer& layer, const GridRect& support) {
  return {.grid = layer.pattern.grid, .globals = at::zeros({layer.global_tokens()}, at::kFloat), .support = support,
          .values = at::zeros({support.height, support.width}, at::kFloat)};
}

TokenMap sum_of(const AttentionLayer& layer, const std::vector<GridRect>& tiles, const WindowOffsets& offsets,
                const std::vector<HaloTile>& parts, const GridRect& support) {
  auto result = zero_map(layer, support);
  auto globals = at::zeros({layer.global_tokens()}, at::kDouble);
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    add_tile(tiles[i], offsets, parts[i], result);
    for (std::int64_t g = 0; g < offsets.globals; ++g) globals.data_ptr<double>()[g] += parts[i].globals[g];
  }
  result.globals = globals.to(at::kFloat);
  return result;
}

void for_each_share(const std::vector<GridRect>& tiles, const std::function<void(TileShare&)>& work) {
  const std::stop_token stop = stop_of_torch_threads();
  std::atomic<std::size_t> next{0};
  const auto threads = std::min<std::int64_t>(at::get_num_threads(), static_cast<std::int64_t>(tiles.size()));
  run_on_torch_threads(threads, [&](std::int64_t) {
    TileShare share(next, stop);
    work(share);
  });
}

}  // namespace fovea::analysis
