#include "core/attention/analysis/fused_tile.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <limits>

namespace fovea::analysis {
namespace {

namespace cpu = kernels::cpu;

constexpr float kUntouched = std::numeric_limits<float>::max();

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

}  // namespace

FusedTile::FusedTile(const AttentionLayer& layer, const WindowOffsets& offsets, const HeadChoice& heads, RowSums sums)
    : offsets_(offsets), heads_(heads), sums_(sums), keys_(layer, offsets, RowDetail::kWeights) {}

void FusedTile::compute(const GridRect& tile) {
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

void FusedTile::add_head(std::size_t head, const QueryBlock& block) {
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
void FusedTile::finish(float* fused) {
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

void spread_fused(const TokenMap& r, const GridRect& tile, const WindowOffsets& offsets, const std::vector<float>& fused, HaloTile& out) {
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

void dot_fused(const TokenMap& c, const GridRect& tile, const WindowOffsets& offsets, const std::vector<float>& fused, float* out,
               std::int64_t out_stride) {
  auto around = gathered(c, tile, offsets);
  const float* probability = fused.data();
  for (std::int64_t row = 0; row < tile.height; ++row) {
    for (std::int64_t x = 0; x < tile.width; x += kLanes, probability += offsets.slots() * kLanes) {
      float values[kLanes];
      dot_block(probability, offsets, c.globals.const_data_ptr<float>(), around.at(row, x, offsets), around.stride, values);
      std::copy_n(values, std::min(kLanes, tile.width - x), out + row * out_stride + x);
    }
  }
}

}  // namespace fovea::analysis
