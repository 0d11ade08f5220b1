#include "core/attention/analysis/window_sweep.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "core/attention/analysis/global_rows.h"
#include "core/attention/analysis/window_tiles.h"
#include "core/attention/torch_threads.h"
#include "core/base/progress.h"

namespace fovea::analysis::window_sweep {
namespace {

namespace cpu = kernels::cpu;

// A tile's fused probabilities: for each block of sixteen queries [slots][kLanes], blocks row by row.
class FusedTile {
 public:
  FusedTile(const AttentionLayer& layer, const WindowOffsets& offsets, const HeadChoice& heads, RowSums sums)
      : offsets_(offsets), heads_(heads), sums_(sums), keys_(layer, offsets) {}

  void compute(const GridRect& tile) {
    tile_ = tile;
    blocks_a_row_ = (tile.width + kLanes - 1) / kLanes;
    const bool minimum = heads_.fusion == HeadFusion::kMin;
    fused_.assign(static_cast<std::size_t>(tile.height * blocks_a_row_ * offsets_.slots() * kLanes), minimum ? kUntouched : 0.0f);
    for (std::size_t head = 0; head < offsets_.heads.size(); ++head) {
      keys_.load(tile, head);
      for (const auto& block : blocks_of(tile, offsets_.heads[head].dilation)) add_head(head, block);
    }
    const bool fused_sums = heads_.fusion == HeadFusion::kMax || minimum;
    for (std::int64_t block = 0; fused_sums && block < tile.height * blocks_a_row_; ++block) finish(data(block));
  }

  std::int64_t blocks_a_row() const { return blocks_a_row_; }
  const float* block(std::int64_t row, std::int64_t column) { return data(row * blocks_a_row_ + column); }
  const std::vector<float>& blocks() const { return fused_; }

 private:
  static constexpr float kUntouched = std::numeric_limits<float>::max();

  float* data(std::int64_t block) { return fused_.data() + block * offsets_.slots() * kLanes; }

  void add_head(std::size_t head, const QueryBlock& block) {
    keys_.compute(block);
    const auto& slot = offsets_.heads[head].slot;
    const auto fusion = heads_.fusion == HeadFusion::kMax ? cpu::LaneFusion::kMaximum
                        : heads_.fusion == HeadFusion::kMin ? cpu::LaneFusion::kMinimum : cpu::LaneFusion::kAdd;
    const cpu::LaneFusionMap how{.map = slot.data(), .count = static_cast<std::int64_t>(slot.size()), .fusion = fusion,
                                 .factor = 1.0f / static_cast<float>(offsets_.heads.size())};
    for (std::int64_t r = 0; r < block.rows; ++r) {
      cpu::fuse_lanes(how, keys_.probabilities(r), data((block.row + r * block.step) * blocks_a_row_ + block.column / kLanes));
    }
  }

  // A key that some head does not see has minimum zero; then, if asked for, rows that sum to one.
  void finish(float* fused) {
    const auto heads = static_cast<std::int32_t>(offsets_.heads.size());
    for (std::int64_t slot = 0; slot < offsets_.slots(); ++slot) {
      if (heads_.fusion != HeadFusion::kMin || offsets_.users[static_cast<std::size_t>(slot)] == heads) continue;
      std::fill_n(fused + slot * kLanes, kLanes, 0.0f);
    }
    if (sums_ == RowSums::kAsFused) return;
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      double total = 0;
      for (std::int64_t slot = 0; slot < offsets_.slots(); ++slot) total += fused[slot * kLanes + lane];
      const float factor = total > 0 ? static_cast<float>(1 / total) : 0.0f;
      for (std::int64_t slot = 0; slot < offsets_.slots(); ++slot) fused[slot * kLanes + lane] *= factor;
    }
  }

  const WindowOffsets& offsets_;
  HeadChoice heads_;
  RowSums sums_;
  TileKeys keys_;
  GridRect tile_;
  std::int64_t blocks_a_row_ = 0;
  std::vector<float> fused_;
};

// Values of one tile and its surroundings: [tile rows + 2 reach_y][stride].
struct HaloTile {
  std::int64_t stride = 0;
  std::vector<float> values;
  std::vector<double> globals;
  HaloTile(const GridRect& tile, const WindowOffsets& offsets)
      : stride(kTileColumns + 2 * offsets.reach_x), values(static_cast<std::size_t>((tile.height + 2 * offsets.reach_y) * stride)),
        globals(static_cast<std::size_t>(offsets.globals)) {}
  float* at(std::int64_t row, std::int64_t column, const WindowOffsets& offsets) {
    return values.data() + (row + offsets.reach_y) * stride + column + offsets.reach_x;
  }
};

// One tile's share of r A. fused: the tile's blocks of probabilities.
void scatter_tile(const TokenMap& r, const GridRect& tile, const WindowOffsets& offsets, const std::vector<float>& fused, HaloTile& out) {
  const float* weights = r.values.const_data_ptr<float>();
  const std::int64_t blocks_a_row = (tile.width + kLanes - 1) / kLanes;
  for (std::int64_t row = 0; row < tile.height; ++row) {
    for (std::int64_t column = 0; column < blocks_a_row; ++column) {
      float weight[kLanes] = {};
      const auto lanes = std::min(kLanes, tile.width - column * kLanes);
      std::copy_n(weights + (tile.y + row - r.support.y) * r.support.width + tile.x + column * kLanes - r.support.x, lanes, weight);
      const float* probability = fused.data() + (row * blocks_a_row + column) * offsets.slots() * kLanes;
      for (std::int64_t g = 0; g < offsets.globals; ++g, probability += kLanes) {
        for (std::int64_t lane = 0; lane < kLanes; ++lane) out.globals[g] += static_cast<double>(probability[lane]) * weight[lane];
      }
      for (const auto& offset : offsets.shared) {
        float* target = out.at(row + offset.dy, column * kLanes + offset.dx, offsets);
        for (std::int64_t lane = 0; lane < kLanes; ++lane) target[lane] += probability[lane] * weight[lane];
        probability += kLanes;
      }
    }
  }
}

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

bool all_zero(const TokenMap& r, const GridRect& tile) {
  const float* values = r.values.const_data_ptr<float>() + (tile.y - r.support.y) * r.support.width + tile.x - r.support.x;
  for (std::int64_t row = 0; row < tile.height; ++row, values += r.support.width) {
    if (std::any_of(values, values + tile.width, [](float value) { return value != 0; })) return false;
  }
  return true;
}

// Reads c into a tile's surroundings; zero outside its support.
void gather_tile(const TokenMap& c, const GridRect& tile, const WindowOffsets& offsets, HaloTile& part) {
  std::fill(part.values.begin(), part.values.end(), 0.0f);
  const auto top = std::max(tile.y - offsets.reach_y, c.support.y),
             bottom = std::min(tile.y + tile.height + offsets.reach_y, c.support.y + c.support.height);
  const auto left = std::max(tile.x - offsets.reach_x, c.support.x),
             right = std::min(tile.x + tile.width + offsets.reach_x, c.support.x + c.support.width);
  for (std::int64_t y = top; y < bottom && left < right; ++y) {
    std::copy_n(c.values.const_data_ptr<float>() + (y - c.support.y) * c.support.width + left - c.support.x, right - left,
                part.at(y - tile.y, left - tile.x, offsets));
  }
}

// A c of the sixteen queries of one block.
void dot_block(const float* probability, const WindowOffsets& offsets, const float* globals, const float* around, std::int64_t stride,
               float* result) {
  double sums[kLanes] = {};
  for (std::int64_t g = 0; g < offsets.globals; ++g, probability += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += static_cast<double>(probability[lane]) * globals[g];
  }
  for (const auto& offset : offsets.shared) {
    const float* value = around + offset.dy * stride + offset.dx;
    for (std::int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += static_cast<double>(probability[lane]) * value[lane];
    probability += kLanes;
  }
  std::copy_n(sums, kLanes, result);
}

TokenMap zeros(const AttentionLayer& layer, const GridRect& support) {
  return {.grid = layer.pattern.grid, .globals = at::zeros({layer.global_tokens()}, at::kFloat), .support = support,
          .values = at::zeros({support.height, support.width}, at::kFloat)};
}

// A thread takes the next tile when it is done with one; its buffers stay.
class TileShare {
 public:
  explicit TileShare(std::atomic<std::size_t>& next) : next_(next) {}
  std::size_t next() { return next_++; }

 private:
  std::atomic<std::size_t>& next_;
};

// Runs work(share) on torch's threads. (at::parallel_for, in a file that is not compiled with OpenMP, quietly uses one.)
template <class Work>
void for_each_share(const std::vector<GridRect>& tiles, const Work& work) {
  std::atomic<std::size_t> next{0};
  const auto threads = std::min<std::int64_t>(at::get_num_threads(), static_cast<std::int64_t>(tiles.size()));
  run_on_torch_threads(threads, [&](std::int64_t) {
    TileShare share(next);
    work(share);
  });
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

// Sums the tiles' parts in order, so that sums do not depend on threads.
TokenMap sum_of(const AttentionLayer& layer, const std::vector<GridRect>& tiles, const WindowOffsets& offsets,
                const std::vector<HaloTile>& parts, const GridRect& support) {
  auto result = zeros(layer, support);
  auto globals = at::zeros({layer.global_tokens()}, at::kDouble);
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    add_tile(tiles[i], offsets, parts[i], result);
    for (std::int64_t g = 0; g < offsets.globals; ++g) globals.data_ptr<double>()[g] += parts[i].globals[g];
  }
  result.globals = globals.to(at::kFloat);
  return result;
}

// A map over the whole grid.
TokenMap spread(const AttentionLayer& layer, const TokenMap& map) {
  TokenMap result = zeros(layer, layer.grid_rect());
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

TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const FusedWindows& fused) {
  const auto whole = spread(layer, r);
  std::vector<HaloTile> parts;
  parts.reserve(fused.tiles.size());
  for (const auto& tile : fused.tiles) parts.emplace_back(tile, fused.offsets);
  for_each_share(fused.tiles, [&](TileShare& share) {
    for (std::size_t i = share.next(); i < fused.tiles.size(); i = share.next()) {
      if (!all_zero(whole, fused.tiles[i])) scatter_tile(whole, fused.tiles[i], fused.offsets, fused.probabilities[i], parts[i]);
    }
  });
  return cropped(sum_of(layer, fused.tiles, fused.offsets, parts, layer.grid_rect()), within_reach(layer, r.support));
}

TokenMap attention_times(const AttentionLayer& layer, const FusedWindows& fused, const TokenMap& c, const GridRect& rect) {
  const auto& offsets = fused.offsets;
  auto result = zeros(layer, layer.grid_rect());
  float* out = result.values.data_ptr<float>();
  for_each_share(fused.tiles, [&](TileShare& share) {
    for (std::size_t i = share.next(); i < fused.tiles.size(); i = share.next()) {
      const auto& tile = fused.tiles[i];
      const float* probability = fused.probabilities[i].data();
      HaloTile around(tile, offsets);
      gather_tile(c, tile, offsets, around);
      for (std::int64_t row = 0; row < tile.height; ++row) {
        for (std::int64_t x = 0; x < tile.width; x += kLanes, probability += offsets.slots() * kLanes) {
          float values[kLanes];
          dot_block(probability, offsets, c.globals.const_data_ptr<float>(), around.at(row, x, offsets), around.stride, values);
          std::copy_n(values, std::min(kLanes, tile.width - x), out + (tile.y + row) * layer.width() + tile.x + x);
        }
      }
    }
  });
  return cropped(result, rect);
}

TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const HeadChoice& heads, RowSums sums) {
  const auto offsets = window_offsets(layer, heads);
  const auto tiles = tiles_of(r.support);
  std::vector<HaloTile> parts;
  parts.reserve(tiles.size());
  for (const auto& tile : tiles) parts.emplace_back(tile, offsets);
  for_each_share(tiles, [&](TileShare& share) {
    if (is_linear(heads)) {
      TileKeys keys(layer, offsets);
      for (std::size_t i = share.next(); i < tiles.size(); i = share.next()) {
        if (!all_zero(r, tiles[i])) spread_tile(r, tiles[i], offsets, keys, parts[i]);
      }
      return;
    }
    FusedTile fused(layer, offsets, heads, sums);
    for (std::size_t i = share.next(); i < tiles.size(); i = share.next()) {
      if (all_zero(r, tiles[i])) continue;
      fused.compute(tiles[i]);
      scatter_tile(r, tiles[i], offsets, fused.blocks(), parts[i]);
    }
  });
  return sum_of(layer, tiles, offsets, parts, within_reach(layer, r.support));
}

TokenMap attention_times(const AttentionLayer& layer, const TokenMap& c, const GridRect& rect, const HeadChoice& heads, RowSums sums) {
  const auto offsets = window_offsets(layer, heads);
  const auto tiles = tiles_of(rect);
  auto result = zeros(layer, rect);
  float* out = result.values.data_ptr<float>();
  const auto place = [&](const GridRect& tile) { return out + (tile.y - rect.y) * rect.width + tile.x - rect.x; };
  for_each_share(tiles, [&](TileShare& share) {
    if (is_linear(heads)) {
      TileKeys keys(layer, offsets);
      for (std::size_t i = share.next(); i < tiles.size(); i = share.next()) {
        HaloTile around(tiles[i], offsets);
        gather_tile(c, tiles[i], offsets, around);
        dot_tile(c, tiles[i], offsets, keys, around, place(tiles[i]), rect.width);
      }
      return;
    }
    FusedTile fused(layer, offsets, heads, sums);
    for (std::size_t i = share.next(); i < tiles.size(); i = share.next()) {
      const auto& tile = tiles[i];
      HaloTile around(tile, offsets);
      gather_tile(c, tile, offsets, around);
      fused.compute(tile);
      for (std::int64_t row = 0; row < tile.height; ++row) {
        for (std::int64_t column = 0; column < fused.blocks_a_row(); ++column) {
          float values[kLanes];
          dot_block(fused.block(row, column), offsets, c.globals.const_data_ptr<float>(), around.at(row, column * kLanes, offsets),
                    around.stride, values);
          std::copy_n(values, std::min(kLanes, tile.width - column * kLanes), place(tile) + row * rect.width + column * kLanes);
        }
      }
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
    TileKeys keys(layer, offsets);
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

namespace fovea::analysis {

std::int64_t fused_windows_bytes(const AttentionLayer& layer) {
  if (!layer.query.is_cpu() || layer.dense()) return 0;
  std::int64_t bytes = layer.global_tokens() * layer.tokens();
  const auto slots = window_offsets(layer, {}).slots();
  for (const auto& tile : tiles_of(layer.grid_rect())) bytes += tile.height * ((tile.width + kLanes - 1) / kLanes) * kLanes * slots;
  return bytes * static_cast<std::int64_t>(sizeof(float));
}

std::shared_ptr<const FusedWindows> fuse_windows(const AttentionLayer& layer, const std::stop_token& stop) {
  if (!layer.query.is_cpu() || layer.dense()) return nullptr;
  check_layer(layer);
  auto result = std::make_shared<FusedWindows>();
  result->offsets = window_offsets(layer, {});
  result->tiles = tiles_of(layer.grid_rect());
  result->probabilities.resize(result->tiles.size());
  window_sweep::for_each_share(result->tiles, [&](window_sweep::TileShare& share) {
    window_sweep::FusedTile fused(layer, result->offsets, {}, RowSums::kOne);
    for (std::size_t i = share.next(); i < result->tiles.size() && !stop.stop_requested(); i = share.next()) {
      fused.compute(result->tiles[i]);
      result->probabilities[i] = fused.blocks();
    }
  });
  throw_if_stopped(stop);
  if (layer.global_tokens() > 0) result->global_rows = global_rows(layer, {}, RowSums::kOne);
  return result;
}

}  // namespace fovea::analysis
