#include "core/attention/analysis/fused_windows.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/attention/analysis/attention_products.h"
#include "core/attention/analysis/fused_tile.h"
#include "core/base/progress.h"

namespace fovea::analysis {
namespace {

// A map over the whole grid.
TokenMap over_grid(const AttentionLayer& layer, const TokenMap& map) {
  TokenMap result = zero_map(layer, layer.grid_rect());
  result.globals = map.globals;
  if (map.support.empty()) return result;
  result.values.narrow(0, map.support.y, map.support.height).narrow(1, map.support.x, map.support.width).copy_(map.values);
  return result;
}

TokenMap cropped(const TokenMap& map, const GridRect& rect) {
  auto result = map;
  result.support = rect;
  result.values = map.values.narrow(0, rect.y, rect.height).narrow(1, rect.x, rect.width).contiguous();
  return result;
}

}  // namespace

std::int64_t fused_windows_bytes(const AttentionLayer& layer) {
  if (!layer.query.is_cpu() || layer.dense()) return 0;
  std::int64_t bytes = layer.global_tokens() * layer.tokens();
  const auto slots = window_offsets(layer, {}).slots();
  for (const auto& tile : tiles_of(layer.grid_rect())) bytes += tile.height * ((tile.width + kLanes - 1) / kLanes) * kLanes * slots;
  return bytes * static_cast<std::int64_t>(sizeof(float));
}

std::shared_ptr<const FusedWindows> fuse_windows(const AttentionLayer& layer, const HeadChoice& heads, const std::stop_token& stop) {
  if (!layer.query.is_cpu() || layer.dense()) return nullptr;
  check_layer(layer);
  auto result = std::make_shared<FusedWindows>();
  result->heads = heads;
  result->offsets = window_offsets(layer, heads);
  result->tiles = tiles_of(layer.grid_rect());
  result->probabilities.resize(result->tiles.size());
  for_each_share(result->tiles, [&](TileShare& share) {
    FusedTile fused(layer, result->offsets, heads, RowSums::kOne);
    for (std::size_t i = share.next(); i < result->tiles.size() && !stop.stop_requested(); i = share.next()) {
      fused.compute(result->tiles[i]);
      result->probabilities[i] = fused.blocks();
    }
  });
  throw_if_stopped(stop);
  if (layer.global_tokens() > 0) result->global_rows = global_rows(layer, heads, RowSums::kOne);
  return result;
}

TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const FusedWindows& fused) {
  const auto whole = over_grid(layer, r);
  std::vector<HaloTile> parts;
  parts.reserve(fused.tiles.size());
  for (const auto& tile : fused.tiles) parts.emplace_back(tile, fused.offsets);
  for_each_share(fused.tiles, [&](TileShare& share) {
    for (std::size_t i = share.next(); i < fused.tiles.size(); i = share.next()) {
      if (!all_zero(whole, fused.tiles[i])) spread_fused(whole, fused.tiles[i], fused.offsets, fused.probabilities[i], parts[i]);
    }
  });
  return cropped(sum_of(layer, fused.tiles, fused.offsets, parts, layer.grid_rect()), within_reach(layer, r.support));
}

TokenMap attention_times(const AttentionLayer& layer, const FusedWindows& fused, const TokenMap& c, const GridRect& rect) {
  auto result = zero_map(layer, layer.grid_rect());
  float* out = result.values.data_ptr<float>();
  for_each_share(fused.tiles, [&](TileShare& share) {
    for (std::size_t i = share.next(); i < fused.tiles.size(); i = share.next()) {
      const auto& tile = fused.tiles[i];
      dot_fused(c, tile, fused.offsets, fused.probabilities[i], out + tile.y * layer.width() + tile.x, layer.width());
    }
  });
  return cropped(result, rect);
}

}  // namespace fovea::analysis
