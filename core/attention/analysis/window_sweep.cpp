#include "core/attention/analysis/window_sweep.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/attention/analysis/fused_tile.h"

namespace fovea::analysis::window_sweep {
namespace {

namespace cpu = kernels::cpu;

bool is_linear(const HeadChoice& heads) { return heads.fusion == HeadFusion::kMean || heads.fusion == HeadFusion::kOne; }

cpu::WindowPlane plane_of(const WindowOffsets& offsets, std::size_t head, const HaloTile& tile) {
  const auto& window = offsets.heads[head];
  return {.globals = offsets.globals, .radius_y = window.radius_y, .radius_x = window.radius_x, .dilation = window.dilation,
          .plane_stride = tile.stride};
}

// One tile's share of r A for one head or the mean of heads, head by head: fused rows are never written down.
void spread_tile(const TokenMap& r, const GridRect& tile, const WindowOffsets& offsets, TileKeys& keys, HaloTile& out) {
  const float* values = r.values.const_data_ptr<float>();
  const auto share = 1.0f / static_cast<float>(offsets.heads.size());
  for (std::size_t head = 0; head < offsets.heads.size(); ++head) {
    keys.load(tile, head);
    const auto plane = plane_of(offsets, head, out);
    for (const auto& block : blocks_of(tile, plane.dilation)) {
      const auto weights_of = [&](std::int64_t row) {
        return values + (tile.y + block.row + row * block.step - r.support.y) * r.support.width + tile.x + block.column - r.support.x;
      };
      const auto silent = [&](std::int64_t row) {
        return std::all_of(weights_of(row), weights_of(row) + block.lanes, [](float weight) { return weight == 0; });
      };
      auto wanted = block;   // without rows that nobody asks about: rollouts begin with one token
      while (wanted.rows > 0 && silent(wanted.rows - 1)) --wanted.rows;
      if (wanted.rows == 0) continue;
      keys.compute(wanted);
      for (std::int64_t row = 0; row < wanted.rows; ++row) {
        float factors[kLanes] = {};
        const auto* inverse = keys.sums(row).inverse_sum;
        for (std::int64_t lane = 0; lane < block.lanes; ++lane) factors[lane] = weights_of(row)[lane] * inverse[lane] * share;
        cpu::window_spread(plane, keys.weights(row), factors, out.at(block.row + row * block.step, block.column, offsets),
                           out.globals.data());
      }
    }
  }
}

// A c of a tile's queries, likewise. out: at the tile's first query, rows out_stride floats apart.
void dot_tile(const TokenMap& c, const GridRect& tile, const WindowOffsets& offsets, TileKeys& keys, HaloTile& around, float* out,
              std::int64_t out_stride) {
  const auto share = 1.0 / static_cast<double>(offsets.heads.size());
  std::vector<double> totals(static_cast<std::size_t>(tile.height * tile.width));
  for (std::size_t head = 0; head < offsets.heads.size(); ++head) {
    keys.load(tile, head);
    const auto plane = plane_of(offsets, head, around);
    for (const auto& block : blocks_of(tile, plane.dilation)) {
      keys.compute(block);
      for (std::int64_t r = 0; r < block.rows; ++r) {
        const auto row = block.row + r * block.step;
        double sums[kLanes];
        cpu::window_dot(plane, keys.weights(r), around.at(row, block.column, offsets), c.globals.const_data_ptr<float>(), sums);
        for (std::int64_t lane = 0; lane < block.lanes; ++lane) {
          totals[static_cast<std::size_t>(row * tile.width + block.column + lane)] += sums[lane] * keys.sums(r).inverse_sum[lane] * share;
        }
      }
    }
  }
  for (std::int64_t row = 0; row < tile.height; ++row) {
    for (std::int64_t x = 0; x < tile.width; ++x) {
      out[row * out_stride + x] = static_cast<float>(totals[static_cast<std::size_t>(row * tile.width + x)]);
    }
  }
}

struct StatisticsBlock {
  const float* probabilities = nullptr;   // [G + offsets][kLanes]
  const cpu::RowSums* sums = nullptr;
  std::int64_t lanes = 0, place = 0;      // where its first query lies in the statistics' planes
};

void write_statistics(const WindowOffsets& offsets, const HeadWindow& window, const StatisticsBlock& block, RowStatistics& result) {
  const auto count = static_cast<std::int64_t>(window.slot.size());
  double far[kLanes], near[kLanes];
  cpu::weighted_sums(block.probabilities, window.distance.data(), count, far);
  cpu::weighted_sums(block.probabilities, window.on_grid.data(), count, near);
  const auto put = [&](at::Tensor& plane, std::int64_t lane, double value) {
    plane.data_ptr<float>()[block.place + lane] = static_cast<float>(value);
  };
  for (std::int64_t lane = 0; lane < block.lanes; ++lane) {
    double on_globals = 0;
    for (std::int64_t g = 0; g < offsets.globals; ++g) on_globals += block.probabilities[g * kLanes + lane];
    put(result.lse, lane, block.sums->lse[lane]);
    put(result.entropy, lane, block.sums->entropy[lane]);
    put(result.global_mass, lane, on_globals);
    put(result.mean_distance, lane, near[lane] > 0 ? far[lane] / near[lane] : 0);
  }
}

}  // namespace

TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const HeadChoice& heads, RowSums sums) {
  const auto offsets = window_offsets(layer, heads);
  const auto tiles = tiles_of(r.support);
  std::vector<HaloTile> parts;
  parts.reserve(tiles.size());
  for (const auto& tile : tiles) parts.emplace_back(tile, offsets);
  for_each_share(tiles, [&](TileShare& share) {
    if (is_linear(heads)) {
      TileKeys keys(layer, offsets, RowDetail::kWeights);
      for (std::size_t i = share.next(); i < tiles.size(); i = share.next()) {
        if (!all_zero(r, tiles[i])) spread_tile(r, tiles[i], offsets, keys, parts[i]);
      }
      return;
    }
    FusedTile fused(layer, offsets, heads, sums);
    for (std::size_t i = share.next(); i < tiles.size(); i = share.next()) {
      if (all_zero(r, tiles[i])) continue;
      fused.compute(tiles[i]);
      spread_fused(r, tiles[i], offsets, fused.blocks(), parts[i]);
    }
  });
  return sum_of(layer, tiles, offsets, parts, within_reach(layer, r.support));
}

TokenMap attention_times(const AttentionLayer& layer, const TokenMap& c, const GridRect& rect, const HeadChoice& heads, RowSums sums) {
  const auto offsets = window_offsets(layer, heads);
  const auto tiles = tiles_of(rect);
  auto result = zero_map(layer, rect);
  float* out = result.values.data_ptr<float>();
  const auto place = [&](const GridRect& tile) { return out + (tile.y - rect.y) * rect.width + tile.x - rect.x; };
  for_each_share(tiles, [&](TileShare& share) {
    if (is_linear(heads)) {
      TileKeys keys(layer, offsets, RowDetail::kWeights);
      for (std::size_t i = share.next(); i < tiles.size(); i = share.next()) {
        auto around = gathered(c, tiles[i], offsets);
        dot_tile(c, tiles[i], offsets, keys, around, place(tiles[i]), rect.width);
      }
      return;
    }
    FusedTile fused(layer, offsets, heads, sums);
    for (std::size_t i = share.next(); i < tiles.size(); i = share.next()) {
      fused.compute(tiles[i]);
      dot_fused(c, tiles[i], offsets, fused.blocks(), place(tiles[i]), rect.width);
    }
  });
  return result;
}

RowStatistics row_statistics(const AttentionLayer& layer, const GridRect& rect) {
  const auto offsets = window_offsets(layer, {});
  const auto tiles = tiles_of(rect);
  const auto plane = [&] { return at::zeros({layer.heads(), rect.height, rect.width}, at::kFloat); };
  RowStatistics result{.rect = rect, .lse = plane(), .entropy = plane(), .global_mass = plane(), .mean_distance = plane()};
  for_each_share(tiles, [&](TileShare& share) {
    TileKeys keys(layer, offsets, RowDetail::kStatistics);
    for (std::size_t i = share.next(); i < tiles.size(); i = share.next()) {
      for (std::size_t head = 0; head < offsets.heads.size(); ++head) {
        keys.load(tiles[i], head);
        for (const auto& block : blocks_of(tiles[i], offsets.heads[head].dilation)) {
          keys.compute(block);
          for (std::int64_t r = 0; r < block.rows; ++r) {
            const auto y = tiles[i].y + block.row + r * block.step, x = tiles[i].x + block.column;
            write_statistics(offsets, offsets.heads[head],
                             {.probabilities = keys.probabilities(r), .sums = &keys.sums(r), .lanes = block.lanes,
                              .place = (static_cast<std::int64_t>(head) * rect.height + y - rect.y) * rect.width + x - rect.x},
                             result);
          }
        }
      }
    }
  });
  return result;
}

}  // namespace fovea::analysis::window_sweep
