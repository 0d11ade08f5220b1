#include "core/attention/analysis/window_tiles.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numbers>

#include "core/attention/analysis/kernel_scores.h"
#include "core/base/error.h"

namespace fovea::analysis {
namespace {

namespace cpu = kernels::cpu;

constexpr std::int64_t kMostChannels = 256;   // of a head, as in the operator on the CPU

// Channels of `count` neighbouring tokens of one head, into [D][stride].
struct TokenRun { std::int64_t token = 0, head = 0, count = 0; };
void pack(const at::Tensor& tensor, const TokenRun& run, float factor, float* target, std::int64_t stride) {
  const auto* first = static_cast<const char*>(tensor.const_data_ptr()) +
                      (run.token * tensor.stride(0) + run.head * tensor.stride(1)) * static_cast<std::int64_t>(tensor.element_size());
  cpu::pack_columns({.tokens = first, .dtype = data_type(tensor.scalar_type()), .token_stride = tensor.stride(0), .count = run.count,
                     .head_dim = tensor.size(2), .factor = factor},
                    target, stride);
}

}  // namespace

std::vector<GridRect> tiles_of(const GridRect& rect) {
  std::vector<GridRect> tiles;
  for (std::int64_t y = rect.y; y < rect.y + rect.height; y += kTileRows) {
    for (std::int64_t x = rect.x; x < rect.x + rect.width; x += kTileColumns) {
      tiles.push_back({y, x, std::min(kTileRows, rect.y + rect.height - y), std::min(kTileColumns, rect.x + rect.width - x)});
    }
  }
  return tiles;
}

std::vector<QueryBlock> blocks_of(const GridRect& tile, std::int64_t dilation) {
  std::vector<QueryBlock> blocks;
  for (std::int64_t phase = 0; phase < std::min(dilation, tile.height); ++phase) {
    for (std::int64_t row = phase; row < tile.height; row += cpu::kRowGroup * dilation) {
      const auto rows = std::min(cpu::kRowGroup, (tile.height - 1 - row) / dilation + 1);
      for (std::int64_t column = 0; column < tile.width; column += kLanes) {
        blocks.push_back({.row = row, .rows = rows, .step = dilation, .column = column, .lanes = std::min(kLanes, tile.width - column)});
      }
    }
  }
  return blocks;
}

TileKeys::TileKeys(const AttentionLayer& layer, const WindowOffsets& offsets, RowDetail detail)
    : layer_(layer), offsets_(offsets), detail_(detail), sums_(cpu::kRowGroup) {
  require(layer.head_dim() <= kMostChannels, "attention analysis on the CPU: at most 256 channels a head");
  stride_ = kTileColumns + 2 * offsets.reach_x;
  const auto channels = layer.head_dim();
  std::size_t largest = 0;
  for (const auto& window : offsets.heads) largest = std::max(largest, window.slot.size());
  keys_ = at::zeros({kTileRows + 2 * offsets.reach_y, channels, stride_}, at::kFloat);
  query_ = at::zeros({cpu::kRowGroup, channels, kLanes}, at::kFloat);
  global_keys_ = at::zeros({offsets.globals, channels}, at::kFloat);
  scores_ = at::empty({cpu::kRowGroup, static_cast<std::int64_t>(largest), kLanes}, at::kFloat);
}

void TileKeys::load(const GridRect& tile, std::size_t head) {
  tile_ = tile, head_ = head;
  packed_top_ = tile.y - offsets_.reach_y, packed_left_ = tile.x - offsets_.reach_x;
  const auto channels = layer_.head_dim();
  const auto top = std::max<std::int64_t>(packed_top_, 0), bottom = std::min(tile.y + tile.height + offsets_.reach_y, layer_.height());
  for (std::int64_t y = top; y < bottom; ++y) pack_row(y, keys_.data_ptr<float>() + (y - packed_top_) * channels * stride_);
  for (std::int64_t g = 0; g < offsets_.globals; ++g) {
    pack(layer_.key, {.token = g, .head = offsets_.head_index[head], .count = 1}, 1.0f, global_keys_.data_ptr<float>() + g * channels, 1);
  }
}

void TileKeys::pack_row(std::int64_t y, float* target) const {
  const auto left = std::max<std::int64_t>(packed_left_, 0), right = std::min(tile_.x + tile_.width + offsets_.reach_x, layer_.width());
  pack(layer_.key, {.token = offsets_.globals + y * layer_.width() + left, .head = offsets_.head_index[head_], .count = right - left}, 1.0f,
       target + left - packed_left_, stride_);
}

void TileKeys::compute(const QueryBlock& block) {
  const auto& window = offsets_.heads[head_];
  const auto channels = layer_.head_dim();
  const auto y = tile_.y + block.row, x = tile_.x + block.column;
  const auto factor = static_cast<float>(layer_.softmax_scale() * std::numbers::log2e);
  for (std::int64_t r = 0; r < block.rows; ++r) {
    pack(layer_.query,
         {.token = offsets_.globals + (y + r * block.step) * layer_.width() + x, .head = offsets_.head_index[head_], .count = block.lanes},
         factor, query_.data_ptr<float>() + r * channels * kLanes, kLanes);
  }
  const cpu::WindowRows rows{.rows = block.rows, .query = query_.data_ptr<float>(), .global_keys = global_keys_.data_ptr<float>(),
                             .keys = keys_.data_ptr<float>() + (y - packed_top_) * channels * stride_ + (x - packed_left_),
                             .row_stride = channels * stride_, .channel_stride = stride_, .head_dim = channels,
                             .globals = offsets_.globals, .radius_y = window.radius_y, .radius_x = window.radius_x,
                             .dilation = window.dilation, .y = y, .x = x, .grid_height = layer_.height(), .grid_width = layer_.width()};
  count_ = rows.count();
  cpu::window_scores(rows, scores_.data_ptr<float>());
  for (std::int64_t r = 0; r < block.rows; ++r) {
    auto& sums = sums_[static_cast<std::size_t>(r)];
    if (detail_ == RowDetail::kStatistics) {
      cpu::window_weights(weights(r), count_, sums);
    } else {
      cpu::window_weights_alone(weights(r), count_, sums);
    }
  }
}

const float* TileKeys::probabilities(std::int64_t r) {
  cpu::scale_lanes(weights(r), count_, sums(r).inverse_sum);
  return weights(r);
}

}  // namespace fovea::analysis
