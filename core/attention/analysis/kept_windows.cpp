#include "core/attention/analysis/kept_windows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "core/attention/analysis/attention_products.h"
#include "core/attention/analysis/dense_sweep.h"
#include "core/attention/analysis/fused_tile.h"
#include "core/attention/analysis/large_pages.h"
#include "core/base/progress.h"
#include "kernels/cpu/half_rows.h"

namespace fovea::analysis {
namespace {

namespace cpu = kernels::cpu;

bool can_be_kept(const AttentionLayer& layer) { return layer.query.is_cpu(); }

std::int64_t blocks_a_row(const AttentionLayer& layer) { return (layer.width() + kLanes - 1) / kLanes; }

// Where the stored blocks of queries lie, row by row over the grid.
struct Blocks {
  cpu::Half* weights = nullptr;
  float* inverse_sums = nullptr;
  std::int64_t a_row = 0, slots = 0;
  explicit Blocks(const KeptWindows& kept)
      : weights(static_cast<cpu::Half*>(kept.weights.mutable_data_ptr())), inverse_sums(kept.inverse_sums.mutable_data_ptr<float>()),
        a_row(kept.weights.size(1)), slots(kept.weights.size(2)) {}
  std::int64_t index(std::int64_t y, std::int64_t x) const { return y * a_row + x / kLanes; }
  cpu::Half* weights_of(std::int64_t block) const { return weights + block * slots * kLanes; }
  float* sums_of(std::int64_t block) const { return inverse_sums + block * kLanes; }
  cpu::HalfBlock at(std::int64_t block) const { return {weights_of(block), sums_of(block)}; }
};

std::shared_ptr<KeptWindows> empty_windows(const AttentionLayer& layer, const HeadChoice& heads) {
  auto kept = std::make_shared<KeptWindows>();
  kept->heads = heads;
  kept->offsets = window_offsets(layer, heads);
  const auto blocks = blocks_a_row(layer);
  kept->weights = empty_in_large_pages({layer.height(), blocks, kept->offsets.slots(), kLanes}, at::kHalf);
  kept->inverse_sums = at::empty({layer.height(), blocks, kLanes}, at::kFloat);
  return kept;
}

// One head's rows in a tile, as `keys` computes them.
void keep_head(TileKeys& keys, const GridRect& tile, std::int64_t head, const KeptWindows& kept) {
  const Blocks blocks(kept);
  const auto& window = kept.offsets.heads.front();
  keys.load(tile, static_cast<std::size_t>(head));
  for (const auto& block : blocks_of(tile, window.dilation)) {
    keys.compute(block);
    for (std::int64_t r = 0; r < block.rows; ++r) {
      const auto place = blocks.index(tile.y + block.row + r * block.step, tile.x + block.column);
      cpu::round_rows({.rows = keys.weights(r), .factors = keys.sums(r).inverse_sum, .places = window.slot.data(),
                       .count = static_cast<std::int64_t>(window.slot.size())},
                      blocks.weights_of(place), blocks.sums_of(place));
    }
  }
}

// For every slot of `fused`, where each head keeps that key: [slots, heads]; -1: it does not see it.
std::vector<std::int32_t> sources_of(const WindowOffsets& fused, const std::vector<Kept>& every_head) {
  std::vector<std::int32_t> sources(static_cast<std::size_t>(fused.slots()) * every_head.size(), -1);
  for (std::size_t head = 0; head < every_head.size(); ++head) {
    const auto& all = fused.heads[head].slot;               // of this head's keys, among all heads' keys
    const auto& own = every_head[head]->offsets.heads.front().slot;
    for (std::size_t key = 0; key < all.size(); ++key) sources[static_cast<std::size_t>(all[key]) * every_head.size() + head] = own[key];
  }
  return sources;
}

cpu::LaneFusion fusion_of(const HeadChoice& heads) {
  return heads.fusion == HeadFusion::kMax ? cpu::LaneFusion::kMaximum
         : heads.fusion == HeadFusion::kMin ? cpu::LaneFusion::kMinimum : cpu::LaneFusion::kAdd;
}

// The blocks of one thread, stored or made when they are read.
class BlockReader {
 public:
  explicit BlockReader(const KeptWindows& kept)
      : sources_(kept.sources), slots_(kept.offsets.slots()), fusion_(fusion_of(kept.heads)), parts_(kept.every_head.size()) {
    if (kept.weights.defined()) {
      from_.emplace_back(kept);
      return;
    }
    for (const auto& head : kept.every_head) from_.emplace_back(*head);
    weights_.resize(static_cast<std::size_t>(slots_ * kLanes));
  }
  // Until the next call.
  cpu::HalfBlock at(std::int64_t y, std::int64_t x) {
    const auto place = from_.front().index(y, x);
    if (weights_.empty()) return from_.front().at(place);
    fuse(place, weights_.data(), inverse_sums_);
    return {weights_.data(), inverse_sums_};
  }
  void fuse(std::int64_t place, cpu::Half* weights, float* inverse_sums) {
    std::ranges::transform(from_, parts_.begin(), [&](const Blocks& head) { return head.at(place); });
    cpu::fuse_rows({.heads = parts_.data(), .sources = sources_.data(), .head_count = static_cast<std::int64_t>(parts_.size()),
                    .slots = slots_, .fusion = fusion_},
                   weights, inverse_sums);
  }

 private:
  const std::vector<std::int32_t>& sources_;
  std::int64_t slots_;
  cpu::LaneFusion fusion_;
  std::vector<Blocks> from_;
  std::vector<cpu::HalfBlock> parts_;
  std::vector<cpu::Half> weights_;
  float inverse_sums_[kLanes] = {};
};

at::Tensor fused_global_rows(const std::vector<Kept>& every_head, const HeadChoice& heads) {
  std::vector<at::Tensor> rows;
  for (const auto& head : every_head) rows.push_back(head->global_rows);
  return rows_that_sum_to_one(fuse_heads(at::stack(rows), heads, 0));
}

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

// Where keys lie in a tile's plane.
std::vector<std::int32_t> displacements_of(const WindowOffsets& offsets) {
  const std::int64_t stride = HaloTile({}, offsets).stride;
  std::vector<std::int32_t> displacements;
  for (const auto& offset : offsets.shared) displacements.push_back(static_cast<std::int32_t>(offset.dy * stride + offset.dx));
  return displacements;
}

// Calls visit(row in the tile, column in the tile, lanes) for its blocks.
template <class Visit>
void for_each_block(const GridRect& tile, const Visit& visit) {
  for (std::int64_t row = 0; row < tile.height; ++row) {
    for (std::int64_t x = 0; x < tile.width; x += kLanes) visit(row, x, std::min(kLanes, tile.width - x));
  }
}

}  // namespace

std::int64_t KeptWindows::bytes() const {
  std::int64_t bytes = 0;
  for (const auto* tensor : {&weights, &inverse_sums, &global_rows}) {
    if (tensor->defined()) bytes += static_cast<std::int64_t>(tensor->nbytes());
  }
  return bytes;
}

std::int64_t kept_windows_bytes(const AttentionLayer& layer) {
  if (!can_be_kept(layer)) return 0;
  if (layer.dense()) return dense_sweep::kept_bytes(layer);
  constexpr std::int64_t kHalfBytes = sizeof(cpu::Half), kFloatBytes = sizeof(float);
  const auto a_query = window_offsets(layer, {}).slots() * kHalfBytes + kFloatBytes;
  return layer.height() * blocks_a_row(layer) * kLanes * a_query + layer.global_tokens() * layer.tokens() * kFloatBytes;
}

Kept keep_windows(const AttentionLayer& layer, const HeadChoice& heads, const std::stop_token& stop) {
  if (!can_be_kept(layer)) return nullptr;
  check_layer(layer);
  if (layer.dense()) return dense_sweep::keep(layer, heads, stop);
  const auto result = empty_windows(layer, heads);
  const auto tiles = tiles_of(layer.grid_rect());
  std::vector<std::int32_t> places(static_cast<std::size_t>(result->offsets.slots()));
  std::iota(places.begin(), places.end(), 0);
  const std::vector<float> ones(static_cast<std::size_t>(kLanes), 1.0f);
  const Blocks blocks(*result);
  for_each_share(tiles, [&](TileShare& share) {
    FusedTile fused(layer, result->offsets, heads, RowSums::kOne);
    for (std::size_t i = share.next(); i < tiles.size() && !stop.stop_requested(); i = share.next()) {
      const auto& tile = tiles[i];
      fused.compute(tile);
      const float* rows = fused.blocks().data();
      for (std::int64_t y = tile.y; y < tile.y + tile.height; ++y) {
        for (std::int64_t x = tile.x; x < tile.x + tile.width; x += kLanes, rows += blocks.slots * kLanes) {
          const auto place = blocks.index(y, x);
          cpu::round_rows({.rows = rows, .factors = ones.data(), .places = places.data(), .count = blocks.slots}, blocks.weights_of(place),
                          blocks.sums_of(place));
        }
      }
    }
  });
  throw_if_stopped(stop);
  if (layer.global_tokens() > 0) result->global_rows = global_rows(layer, heads, RowSums::kOne);
  return result;
}

std::vector<Kept> keep_every_head(const AttentionLayer& layer, const std::stop_token& stop) {
  if (!can_be_kept(layer)) return {};
  check_layer(layer);
  if (layer.dense()) {
    std::vector<Kept> heads;
    for (std::int64_t head = 0; head < layer.heads(); ++head) heads.push_back(dense_sweep::keep(layer, {HeadFusion::kOne, head}, stop));
    return heads;
  }
  std::vector<std::shared_ptr<KeptWindows>> heads;
  for (std::int64_t head = 0; head < layer.heads(); ++head) heads.push_back(empty_windows(layer, {HeadFusion::kOne, head}));
  const auto offsets = window_offsets(layer, {});
  const auto tiles = tiles_of(layer.grid_rect());
  for_each_share(tiles, [&](TileShare& share) {
    TileKeys keys(layer, offsets, RowDetail::kWeights);
    for (std::size_t i = share.next(); i < tiles.size() && !stop.stop_requested(); i = share.next()) {
      for (std::int64_t head = 0; head < layer.heads(); ++head) keep_head(keys, tiles[i], head, *heads[static_cast<std::size_t>(head)]);
    }
  });
  throw_if_stopped(stop);
  if (layer.global_tokens() > 0) {
    const auto rows = global_rows_by_head(layer);
    for (std::int64_t head = 0; head < layer.heads(); ++head) heads[static_cast<std::size_t>(head)]->global_rows = rows[head];
  }
  return {heads.begin(), heads.end()};
}

Kept fuse_when_read(const AttentionLayer& layer, const std::vector<Kept>& every_head, const HeadChoice& heads) {
  if (every_head.empty()) return nullptr;
  auto result = std::make_shared<KeptWindows>();
  result->heads = heads;
  result->every_head = every_head;
  if (!layer.dense()) {
    result->offsets = window_offsets(layer, heads);
    result->sources = sources_of(result->offsets, every_head);
  }
  if (layer.global_tokens() > 0) result->global_rows = fused_global_rows(every_head, heads);
  return result;
}

Kept keep_fused(const AttentionLayer& layer, const std::vector<Kept>& every_head, const HeadChoice& heads, const std::stop_token& stop) {
  const auto source = fuse_when_read(layer, every_head, heads);
  if (!source) return nullptr;
  if (layer.dense()) return dense_sweep::keep_fused(layer, *source, stop);
  const auto result = empty_windows(layer, heads);
  result->global_rows = source->global_rows;
  const Blocks blocks(*result);
  const auto tiles = tiles_of(layer.grid_rect());
  for_each_share(tiles, [&](TileShare& share) {
    BlockReader reader(*source);
    for (std::size_t i = share.next(); i < tiles.size() && !stop.stop_requested(); i = share.next()) {
      for_each_block(tiles[i], [&](std::int64_t row, std::int64_t x, std::int64_t) {
        const auto place = blocks.index(tiles[i].y + row, tiles[i].x + x);
        reader.fuse(place, blocks.weights_of(place), blocks.sums_of(place));
      });
    }
  });
  throw_if_stopped(stop);
  return result;
}

TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const KeptWindows& kept) {
  if (layer.dense()) return dense_sweep::times_attention(r, layer, kept);
  const auto whole = over_grid(layer, r);
  const auto tiles = tiles_of(layer.grid_rect());
  const auto displacements = displacements_of(kept.offsets);
  const cpu::HalfPlane place{.displacements = displacements.data(), .globals = kept.offsets.globals, .slots = kept.offsets.slots()};
  std::vector<HaloTile> parts;
  parts.reserve(tiles.size());
  for (const auto& tile : tiles) parts.emplace_back(tile, kept.offsets);
  const float* values = whole.values.const_data_ptr<float>();
  for_each_share(tiles, [&](TileShare& share) {
    BlockReader reader(kept);
    for (std::size_t i = share.next(); i < tiles.size(); i = share.next()) {
      const auto& tile = tiles[i];
      for_each_block(tile, [&](std::int64_t row, std::int64_t x, std::int64_t lanes) {
        float weights[kLanes] = {};
        std::copy_n(values + (tile.y + row) * layer.width() + tile.x + x, lanes, weights);
        if (std::all_of(weights, weights + lanes, [](float weight) { return weight == 0; })) return;
        cpu::spread_rows(place, reader.at(tile.y + row, tile.x + x), weights, parts[i].at(row, x, kept.offsets), parts[i].globals.data());
      });
    }
  });
  return cropped(sum_of(layer, tiles, kept.offsets, parts, layer.grid_rect()), within_reach(layer, r.support));
}

TokenMap attention_times(const AttentionLayer& layer, const KeptWindows& kept, const TokenMap& c, const GridRect& rect) {
  if (layer.dense()) return dense_sweep::attention_times(layer, kept, c, rect);
  auto result = zero_map(layer, layer.grid_rect());
  const auto tiles = tiles_of(layer.grid_rect());
  const auto displacements = displacements_of(kept.offsets);
  const cpu::HalfPlane place{.displacements = displacements.data(), .globals = kept.offsets.globals, .slots = kept.offsets.slots()};
  float* out = result.values.data_ptr<float>();
  for_each_share(tiles, [&](TileShare& share) {
    BlockReader reader(kept);
    for (std::size_t i = share.next(); i < tiles.size(); i = share.next()) {
      const auto& tile = tiles[i];
      auto around = gathered(c, tile, kept.offsets);
      for_each_block(tile, [&](std::int64_t row, std::int64_t x, std::int64_t lanes) {
        double sums[kLanes];
        cpu::dot_rows(place, reader.at(tile.y + row, tile.x + x), around.at(row, x, kept.offsets), c.globals.const_data_ptr<float>(), sums);
        std::copy_n(sums, lanes, out + (tile.y + row) * layer.width() + tile.x + x);
      });
    }
  });
  return cropped(result, rect);
}

}  // namespace fovea::analysis
