#include "core/attention/analysis/statistics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

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

}  // namespace

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
