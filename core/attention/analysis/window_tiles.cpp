#include "core/attention/analysis/window_tiles.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "core/base/error.h"

namespace fovea::analysis {
namespace {

// Channels of `count` neighbouring tokens, [token][D], into [D][stride].
template <class Scalar>
void transpose_tokens(const Scalar* tokens, std::int64_t token_stride, std::int64_t count, std::int64_t channels, float scale,
                      float* target, std::int64_t target_stride) {
  for (std::int64_t first = 0; first < count; first += kLanes) {
    const auto lanes = std::min(kLanes, count - first);
    for (std::int64_t d = 0; d < channels; ++d) {
      for (std::int64_t lane = 0; lane < lanes; ++lane) {
        target[d * target_stride + first + lane] = static_cast<float>(tokens[(first + lane) * token_stride + d]) * scale;
      }
    }
  }
}

void transpose_tokens(const at::Tensor& tensor, std::int64_t token, std::int64_t head, std::int64_t count, float scale, float* target,
                      std::int64_t target_stride) {
  const auto offset = token * tensor.stride(0) + head * tensor.stride(1);
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, tensor.scalar_type(), "transpose_tokens", [&] {
    transpose_tokens(tensor.const_data_ptr<scalar_t>() + offset, tensor.stride(0), count, tensor.size(2), scale, target, target_stride);
  });
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

TileKeys::TileKeys(const AttentionLayer& layer, const WindowOffsets& offsets) : layer_(layer), offsets_(offsets) {
  stride_ = kTileColumns + 2 * offsets.reach_x;
  const auto channels = layer.head_dim();
  std::size_t largest = 0;
  for (const auto& window : offsets.heads) largest = std::max(largest, window.slot.size());
  keys_.resize(static_cast<std::size_t>((kTileRows + 2 * offsets.reach_y) * channels * stride_));
  query_.resize(static_cast<std::size_t>(channels * kLanes));
  global_keys_.resize(static_cast<std::size_t>(offsets.globals * channels));
  scores_.resize(largest * kLanes);
}

void TileKeys::load(const GridRect& tile, std::size_t head) {
  tile_ = tile, head_ = head;
  packed_top_ = tile.y - offsets_.reach_y, packed_left_ = tile.x - offsets_.reach_x;
  const auto channels = layer_.head_dim();
  const auto top = std::max<std::int64_t>(packed_top_, 0), bottom = std::min(tile.y + tile.height + offsets_.reach_y, layer_.height());
  for (std::int64_t y = top; y < bottom; ++y) pack_row(y, keys_.data() + (y - packed_top_) * channels * stride_);
  for (std::int64_t g = 0; g < offsets_.globals; ++g) {
    transpose_tokens(layer_.key, g, offsets_.head_index[head], 1, 1.0f, global_keys_.data() + g * channels, 1);
  }
}

void TileKeys::pack_row(std::int64_t y, float* target) const {
  const auto left = std::max<std::int64_t>(packed_left_, 0), right = std::min(packed_left_ + stride_, layer_.width());
  transpose_tokens(layer_.key, offsets_.globals + y * layer_.width() + left, offsets_.head_index[head_], right - left, 1.0f,
                   target + left - packed_left_, stride_);
}

const float* TileKeys::probabilities(std::int64_t y, std::int64_t x, SoftmaxSums& sums) {
  const auto& window = offsets_.heads[head_];
  const auto channels = layer_.head_dim();
  const auto lanes = std::min(kLanes, tile_.x + tile_.width - x);
  transpose_tokens(layer_.query, offsets_.globals + y * layer_.width() + x, offsets_.head_index[head_], lanes,
                   static_cast<float>(layer_.softmax_scale()), query_.data(), kLanes);
  const ScoreBlock block{.query = query_.data(), .global_keys = global_keys_.data(),
                         .keys = keys_.data() + (y - packed_top_) * channels * stride_ + (x - packed_left_),
                         .row_stride = channels * stride_, .channel_stride = stride_, .head_dim = channels, .globals = offsets_.globals,
                         .radius_y = window.radius_y, .radius_x = window.radius_x, .dilation = window.dilation,
                         .y = y, .x = x, .grid_height = layer_.height(), .grid_width = layer_.width()};
  score_block(block, scores_.data());
  softmax_block(scores_.data(), block.count(), sums);
  return scores_.data();
}

}  // namespace fovea::analysis
