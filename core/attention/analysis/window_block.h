// The inner loops of a sweep over a layer with windows, on the CPU: sixteen neighbouring queries of a grid row at a time. Plain loops over
// vectors that the compiler turns into the machine's; no torch.
#pragma once

#include <cstdint>

namespace fovea::analysis {

constexpr std::int64_t kLanes = 16;   // queries side by side

// One head's view of sixteen queries (y, x) ... (y, x + 15) and of the keys around them.
struct ScoreBlock {
  const float* query = nullptr;         // [D][kLanes], scaled
  const float* global_keys = nullptr;   // [G][D]
  const float* keys = nullptr;          // packed rows [D][stride]: at row y, column x of the grid
  std::int64_t row_stride = 0;          // floats from one packed row of the grid to the next
  std::int64_t channel_stride = 0;
  std::int64_t head_dim = 0, globals = 0;
  std::int64_t radius_y = 0, radius_x = 0, dilation = 1;
  std::int64_t y = 0, x = 0, grid_height = 0, grid_width = 0;
  std::int64_t count() const { return globals + (2 * radius_y + 1) * (2 * radius_x + 1); }
};

// scores [count()][kLanes]: globals first, then the window row by row; minus infinity where a key lies outside the grid.
void score_block(const ScoreBlock& block, float* scores);

// What a softmax leaves beside the probabilities, per lane; natural logarithms, summed in float64.
struct SoftmaxSums {
  double lse[kLanes];
  double entropy[kLanes];
};

// scores [count][kLanes] become probabilities in place; lanes without any key become zeros.
void softmax_block(float* scores, std::int64_t count, SoftmaxSums& sums);

// sums[lane] = sum over keys of weights[key] * probabilities[key][lane], in float64.
void weighted_sums(const float* probabilities, const double* weights, std::int64_t count, double* sums);

enum class BlockFusion { kAdd, kMaximum, kMinimum };
// fused[map[key]][lane] = fused op probabilities[key][lane] * factor.
void fuse_block(float* fused, const float* probabilities, const std::int32_t* map, std::int64_t count, BlockFusion fusion, float factor);

}  // namespace fovea::analysis
