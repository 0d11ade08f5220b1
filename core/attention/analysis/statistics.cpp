#include "core/attention/analysis/statistics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/progress.h"

namespace fovea::analysis {
namespace {

// Keys along one axis, for places first ... first + count - 1.
at::Tensor counts_along(const AttentionLayer& layer, std::size_t axis, std::int64_t step, std::int64_t first, std::int64_t count) {
  const auto radius = (layer.pattern.window[axis] - 1) / 2, last = layer.pattern.grid[axis] - 1;
  auto counts = at::empty({count}, at::kFloat);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto place = first + i;
    counts.data_ptr<float>()[i] = static_cast<float>(std::min(radius, place / step) + std::min(radius, (last - place) / step) + 1);
  }
  return counts;
}

// A stop is noticed between bands of rows. Each band costs the global queries' rows once more: few bands.
constexpr std::int64_t kBands = 8;

}  // namespace

RowStatistics statistics_by_bands(const AttentionLayer& layer, const GridRect& rect, const std::stop_token& stop) {
  const std::int64_t rows = (rect.height + kBands - 1) / kBands;
  std::vector<RowStatistics> bands;
  for (std::int64_t y = 0; y < rect.height; y += rows) {
    throw_if_stopped(stop);
    bands.push_back(row_statistics(layer, {rect.y + y, rect.x, std::min(rows, rect.height - y), rect.width}));
  }
  RowStatistics result = bands.back();   // with what is known of the global queries
  result.rect = rect;
  const auto joined = [&](at::Tensor RowStatistics::*plane) {
    std::vector<at::Tensor> parts;
    for (const auto& band : bands) parts.push_back(band.*plane);
    return at::cat(parts, 1);
  };
  result.lse = joined(&RowStatistics::lse);
  result.entropy = joined(&RowStatistics::entropy);
  result.global_mass = joined(&RowStatistics::global_mass);
  result.mean_distance = joined(&RowStatistics::mean_distance);
  return result;
}

at::Tensor key_counts(const AttentionLayer& layer, const GridRect& rect) {
  std::vector<at::Tensor> heads;
  for (std::int64_t head = 0; head < layer.heads(); ++head) {
    const auto step = layer.dilation(head);
    heads.push_back(at::outer(counts_along(layer, 0, step, rect.y, rect.height), counts_along(layer, 1, step, rect.x, rect.width)) +
                    layer.global_tokens());
  }
  return at::stack(heads).to(layer.query.device());
}

at::Tensor normalised_entropy(const AttentionLayer& layer, const RowStatistics& statistics) {
  const auto largest = at::log(key_counts(layer, statistics.rect));
  return at::where(largest > 0, statistics.entropy / largest, at::zeros_like(largest));
}

double distance_bound(const AttentionLayer& layer, std::int64_t head) {
  const auto step = layer.dilation(head);
  const auto reach = [&](std::size_t axis) {
    return static_cast<double>(step * std::min((layer.pattern.window[axis] - 1) / 2, (layer.pattern.grid[axis] - 1) / step));
  };
  return std::hypot(reach(0), reach(1));
}

}  // namespace fovea::analysis
