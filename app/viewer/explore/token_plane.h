// What the window makes of an answer: ranges, thresholds, outlines. Pure functions of numbers on tokens.
#pragma once

#include <span>
#include <vector>

#include "app/viewer/explore/types.h"
#include "core/image/heatmap.h"

namespace fovea::explore {

// Between percentiles 100 - clip and clip of the tokens that are not zero: a row of a large image is zero nearly everywhere. As
// `fovea attend --clip`. clip: 50 ... 100.
ValueRange clipped_range(std::span<const float> values, double clip);

// The largest value such that the tokens with at least this much hold `share` (0 ... 1) of the sum of all. Values must not be negative.
// 0 for share 1 and where all are zero.
float mass_threshold(std::span<const float> values, double share);

// Tokens with at least threshold, for a legend.
std::int64_t tokens_above(std::span<const float> values, float threshold);

// The border between tokens with value >= threshold and the others (the plane's edge included), as straight runs along the grid.
struct GridLine {
  std::int64_t row0 = 0, column0 = 0, row1 = 0, column1 = 0;   // corners of tokens
  bool operator==(const GridLine&) const = default;
};
std::vector<GridLine> outline(const ImageF32& plane, float threshold);

// The part of one token's dense row (grid and global tokens together sum to 1) that a square window of `window` tokens keeps, with all
// global tokens. row: [rows, columns]; global_total: the row's mass on global tokens.
double kept_by_window(const ImageF32& row, double global_total, const TokenBox& token, std::int64_t window);

// The window of a layer around tokens, cut to the grid: from whence a row takes its values. The whole grid for dense layers.
TokenBox window_of(const ModelConfig& model, std::int64_t layer, std::int64_t head, const TokenBox& tokens, const TokenBox& grid);

}  // namespace fovea::explore
