#include "core/segment/tile_plan.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/error.h"

namespace fovea {

TilePlanOptions tile_plan_options(std::int64_t tile_pixels, std::int64_t overlap_pixels, std::int64_t patch) {
  TilePlanOptions plan;
  plan.alignment = patch;
  // Eight patches are the least with which a quarter of overlap and the rounding of begins fit.
  plan.tile = std::max(tile_pixels / patch, std::int64_t{8}) * patch;
  const std::int64_t overlap = (overlap_pixels + patch - 1) / patch * patch;
  plan.overlap = std::min(overlap, plan.tile / (4 * patch) * patch);
  return plan;
}

std::vector<Span> plan_tiles(std::int64_t length, const TilePlanOptions& options) {
  const auto [tile, overlap, alignment] = options;
  require(length >= 1 && alignment >= 1 && overlap >= 0 && overlap % alignment == 0 && tile >= 3 * overlap + 2 * alignment,
          "plan_tiles: tile, overlap and alignment do not fit together");
  if (length <= tile) return {{0, length}};
  // Rounding a begin to the alignment moves it by less than one alignment: the stride leaves room for that.
  const std::int64_t longest_stride = tile - overlap - alignment;
  const std::int64_t count = (length - overlap + longest_stride - 1) / longest_stride;
  const auto begin_of = [&](std::int64_t index) { return (length - overlap) * index / count / alignment * alignment; };
  std::vector<Span> spans;
  for (std::int64_t i = 0; i < count; ++i) spans.push_back({begin_of(i), i + 1 < count ? begin_of(i + 1) + overlap : length});
  return spans;
}

std::vector<float> blend_ramp(std::int64_t overlap) {
  std::vector<float> weights(static_cast<std::size_t>(overlap));
  for (std::int64_t i = 0; i < overlap; ++i) {
    const double position = (static_cast<double>(i) + 0.5) / static_cast<double>(overlap);
    const double between = std::clamp((position - 0.25) * 2.0, 0.0, 1.0);
    weights[static_cast<std::size_t>(i)] = static_cast<float>(0.5 - 0.5 * std::cos(between * std::numbers::pi));
  }
  return weights;
}

}  // namespace fovea
