// Rows of attention for its own sake, not for its output: what attention analysis asks of layers with windows, sixteen neighbouring
// queries of a few grid rows at a time. Scores are in units of log2: queries come scaled by scale * log2(e).
#pragma once

#include <cstdint>

#include "kernels/attention_params.h"

namespace fovea::kernels::cpu {

constexpr std::int64_t kRowLanes = 16;   // queries side by side
constexpr std::int64_t kRowGroup = 4;    // rows of them at most, a dilation apart, so that they share keys in registers

// One head's view of the queries (y + r * dilation, x + lane), r < rows, and of the keys around them.
struct WindowRows {
  std::int64_t rows = 1;
  const float* query = nullptr;         // [rows][D][kRowLanes]
  const float* global_keys = nullptr;   // [G][D]
  const float* keys = nullptr;          // packed rows [D][channel_stride]: at grid row y, column x
  std::int64_t row_stride = 0;          // floats from one packed row of the grid to the next
  std::int64_t channel_stride = 0;
  std::int64_t head_dim = 0, globals = 0;
  std::int64_t radius_y = 0, radius_x = 0, dilation = 1;
  std::int64_t y = 0, x = 0, grid_height = 0, grid_width = 0;
  std::int64_t width() const { return 2 * radius_x + 1; }
  std::int64_t count() const { return globals + (2 * radius_y + 1) * width(); }
};

// Channels of `count` neighbouring tokens of one head, times factor: [D][stride] float32.
struct TokenColumns {
  const void* tokens = nullptr;         // [count][D] of `dtype`, token_stride elements apart
  DataType dtype = DataType::kFloat32;
  std::int64_t token_stride = 0, count = 0, head_dim = 0;
  float factor = 1.0f;
};
void pack_columns(const TokenColumns& from, float* target, std::int64_t stride);

// scores [rows][count()][kRowLanes]: globals first, then the window row by row; minus infinity where a key lies outside the grid.
void window_scores(const WindowRows& window, float* scores);

// What a softmax leaves beside its weights, per lane. Lanes without any key: inverse_sum 0.
struct RowSums {
  double lse[kRowLanes];          // natural log
  double entropy[kRowLanes];      // nats
  float inverse_sum[kRowLanes];   // times a weight: the probability
};

// scores [count][kRowLanes] of one row become weights 2^(score - largest) in place.
void window_weights(float* scores, std::int64_t count, RowSums& sums);
// The same without logarithms: only sums.inverse_sum is set.
void window_weights_alone(float* scores, std::int64_t count, RowSums& sums);

// values [count][kRowLanes] of one row, times a factor a lane, in place.
void scale_lanes(float* values, std::int64_t count, const float* factors);

// sums[lane] = sum over keys of numbers[key] * weights[key][lane], in float64.
void weighted_sums(const float* weights, const double* numbers, std::int64_t count, double* sums);

// fused[map[key]][lane] = fused op weights[key][lane] * factor.
enum class LaneFusion : std::uint8_t { kAdd, kMaximum, kMinimum };
struct LaneFusionMap {
  const std::int32_t* map = nullptr;
  std::int64_t count = 0;
  LaneFusion fusion = LaneFusion::kAdd;
  float factor = 1.0f;
};
void fuse_lanes(const LaneFusionMap& how, const float* weights, float* fused);

// Products of one row's weights [count][kRowLanes] with numbers on tokens. plane: at the row's first query, plane_stride floats a grid
// row, readable as far as the window looks beyond the lanes, also outside the grid.
struct WindowPlane {
  std::int64_t globals = 0, radius_y = 0, radius_x = 0, dilation = 1, plane_stride = 0;
};
// sums[lane] = sum over keys of weight * number of that key; float64 over the window's rows.
void window_dot(const WindowPlane& window, const float* weights, const float* plane, const float* global_numbers, double* sums);
// plane[key] += weight * factors[lane]; globals[g] += likewise, in float64.
void window_spread(const WindowPlane& window, const float* weights, const float* factors, float* plane, double* globals);

}  // namespace fovea::kernels::cpu
