#include "core/attention/analysis/window_offsets.h"

#include <algorithm>
#include <cmath>

namespace fovea::analysis {
namespace {

std::vector<Offset> offsets_of(const HeadWindow& window) {
  std::vector<Offset> offsets;
  for (std::int64_t i = -window.radius_y; i <= window.radius_y; ++i) {
    for (std::int64_t j = -window.radius_x; j <= window.radius_x; ++j) {
      offsets.push_back({.dx = j * window.dilation, .dy = i * window.dilation});
    }
  }
  return offsets;
}

}  // namespace

WindowOffsets window_offsets(const AttentionLayer& layer, const HeadChoice& heads) {
  WindowOffsets result{.globals = layer.global_tokens()};
  const bool one = heads.fusion == HeadFusion::kOne;
  for (std::int64_t head = one ? heads.head : 0; head < (one ? heads.head + 1 : layer.heads()); ++head) {
    const auto dilation = layer.dilation(head);
    const auto radius = [&](int axis) { return std::min((layer.pattern.window[axis] - 1) / 2, (layer.pattern.grid[axis] - 1) / dilation); };
    HeadWindow window{.radius_y = radius(0), .radius_x = radius(1), .dilation = dilation};
    result.reach_y = std::max(result.reach_y, window.radius_y * dilation);
    result.reach_x = std::max(result.reach_x, window.radius_x * dilation);
    const auto offsets = offsets_of(window);
    result.shared.insert(result.shared.end(), offsets.begin(), offsets.end());
    result.heads.push_back(std::move(window));
    result.head_index.push_back(head);
  }
  std::sort(result.shared.begin(), result.shared.end());
  result.shared.erase(std::unique(result.shared.begin(), result.shared.end()), result.shared.end());
  result.users.assign(static_cast<std::size_t>(result.slots()), 0);
  for (auto& window : result.heads) {
    for (std::int64_t g = 0; g < result.globals; ++g) window.slot.push_back(static_cast<std::int32_t>(g));
    window.distance.assign(window.slot.size(), 0.0);
    for (const auto& offset : offsets_of(window)) {
      const auto place = std::lower_bound(result.shared.begin(), result.shared.end(), offset) - result.shared.begin();
      window.slot.push_back(static_cast<std::int32_t>(result.globals + place));
      window.distance.push_back(std::hypot(static_cast<double>(offset.dy), static_cast<double>(offset.dx)));
    }
    window.on_grid.assign(window.slot.size(), 1.0);
    std::fill_n(window.on_grid.begin(), result.globals, 0.0);
    for (const auto slot : window.slot) ++result.users[static_cast<std::size_t>(slot)];
  }
  return result;
}

}  // namespace fovea::analysis
