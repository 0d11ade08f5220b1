// Which offsets a window looks at, for all heads together: heads with different dilations share some of them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/attention/analysis/attention_layer.h"

namespace fovea::analysis {

// In order column by column: the keys of sixteen queries side by side and of the next offset to the right are nearly the same memory, which
// sums over them had better not touch right after one another (window_spread() in kernels/cpu).
struct Offset {
  std::int64_t dx = 0, dy = 0;
  auto operator<=>(const Offset&) const = default;
};

// One head's window, clipped to what can lie inside the grid.
struct HeadWindow {
  std::int64_t radius_y = 0, radius_x = 0, dilation = 1;
  std::vector<std::int32_t> slot{};    // [G + offsets]: where its keys lie among the shared ones; globals first, then row by row
  std::vector<double> distance{};      // [G + offsets] tokens; 0 for globals
  std::vector<double> on_grid{};       // [G + offsets] 1; 0 for globals
};

struct WindowOffsets {
  std::vector<Offset> shared{};        // sorted; slot G + i is shared[i]
  std::vector<HeadWindow> heads{};     // of the chosen heads only
  std::vector<std::int64_t> head_index{};
  std::vector<std::int32_t> users{};   // [G + shared]: heads that look there
  std::int64_t reach_y = 0, reach_x = 0;
  std::int64_t globals = 0;
  std::int64_t slots() const { return globals + static_cast<std::int64_t>(shared.size()); }
};

// For one head, or for all.
WindowOffsets window_offsets(const AttentionLayer& layer, const HeadChoice& heads);

}  // namespace fovea::analysis
