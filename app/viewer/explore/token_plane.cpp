#include "app/viewer/explore/token_plane.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <limits>

namespace fovea::explore {

ValueRange clipped_range(std::span<const float> values, double clip) {
  std::vector<float> touched;
  std::copy_if(values.begin(), values.end(), std::back_inserter(touched), [](float value) { return value != 0; });
  return percentile_range(touched.empty() ? values : touched, 100 - clip, clip);
}

float mass_threshold(std::span<const float> values, double share) {
  std::vector<float> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double total = 0;
  for (const float value : sorted) total += value;
  double held = 0;
  const double wanted = share * total * (1 - std::numeric_limits<float>::epsilon());   // the values are rounded to float32
  for (const float value : sorted) {
    held += value;
    if (held >= wanted) return share < 1 ? value : 0;
  }
  return 0;
}

std::int64_t tokens_above(std::span<const float> values, float threshold) {
  return std::count_if(values.begin(), values.end(), [&](float value) { return value >= threshold && value > 0; });
}

std::vector<GridLine> outline(const ImageF32& plane, float threshold) {
  const std::int64_t rows = plane.height(), columns = plane.width();
  const auto inside = [&](std::int64_t row, std::int64_t column) {
    return row >= 0 && column >= 0 && row < rows && column < columns && plane.row(row)[column] >= threshold;
  };
  std::vector<GridLine> lines;
  for (std::int64_t row = 0; row <= rows; ++row) {
    for (std::int64_t column = 0; column < columns;) {
      const std::int64_t begin = column;
      while (column < columns && inside(row - 1, column) != inside(row, column)) ++column;
      if (column > begin) lines.push_back({row, begin, row, column});
      else ++column;
    }
  }
  for (std::int64_t column = 0; column <= columns; ++column) {
    for (std::int64_t row = 0; row < rows;) {
      const std::int64_t begin = row;
      while (row < rows && inside(row, column - 1) != inside(row, column)) ++row;
      if (row > begin) lines.push_back({begin, column, row, column});
      else ++row;
    }
  }
  return lines;
}

double kept_by_window(const ImageF32& row, double global_total, const TokenBox& token, std::int64_t window) {
  const std::int64_t radius = window / 2;
  double kept = global_total;
  for (std::int64_t y = std::max<std::int64_t>(0, token.row - radius); y <= std::min(row.height() - 1, token.row + radius); ++y) {
    for (std::int64_t x = std::max<std::int64_t>(0, token.column - radius); x <= std::min(row.width() - 1, token.column + radius); ++x) {
      kept += row.row(y)[x];
    }
  }
  return kept;
}

TokenBox window_of(const ModelConfig& model, std::int64_t layer, std::int64_t head, const TokenBox& tokens, const TokenBox& grid) {
  const auto& layers = model.encoder.attention;
  const LayerAttention& attention = layer < 0 ? layers.back() : layers.at(static_cast<std::size_t>(layer));
  if (attention.dense) return grid;
  const auto& dilations = attention.dilation;
  const std::int64_t dilation = dilations.size() > 1 && head >= 0 ? dilations.at(static_cast<std::size_t>(head))
                                                                  : *std::max_element(dilations.begin(), dilations.end());
  const std::int64_t reach_y = dilation * (attention.window[0] / 2), reach_x = dilation * (attention.window[1] / 2);
  const std::int64_t top = std::max(grid.row, tokens.row - reach_y), left = std::max(grid.column, tokens.column - reach_x);
  return {top, left, std::min(grid.row + grid.rows, tokens.row + tokens.rows + reach_y) - top,
          std::min(grid.column + grid.columns, tokens.column + tokens.columns + reach_x) - left};
}

}  // namespace fovea::explore
