// Products of vectors on tokens with one layer's attention matrix A, its heads made one, without A ever being stored: the algebra of attention
// analysis (core/attention/analysis). Sequence, windows and dilations as in attention_params.h; batch 1.
#pragma once

#include "kernels/attention_params.h"

namespace fovea::kernels {

// Tokens of the grid: rows y ... y + height - 1, columns x ... x + width - 1. Numbers on a rectangle lie row by row without gaps.
struct TokenRect {
  std::int64_t y = 0, x = 0, height = 0, width = 0;
  std::int64_t area() const { return height * width; }
};

// The queries and keys of a layer; [1, N, heads, D] each.
struct AttentionScores {
  AttentionShape shape;
  DataType dtype = DataType::kFloat32;
  float scale = 1.0f;
  ConstView query, key;
};

enum class ProductSide : std::uint8_t {
  kRowTimesAttention,      // out_j = sum over queries i of in_i A_ij
  kAttentionTimesColumn,   // out_i = sum over keys j of A_ij in_j
};

// How A is made of its heads.
enum class HeadFusion : std::uint8_t { kMean, kMaximum, kMinimum };

// Log-sum-exp (natural) of queries, needed to turn a score into a probability. Head h of grid query (y, x) in rect is
// grid[h * head_stride + (y - rect.y) * rect.width + x - rect.x], of global query g globals[h * global_head_stride + g].
template <class Float>
struct LsePlanes {
  Float* grid = nullptr;
  TokenRect rect;
  std::int64_t head_stride = 0;
  Float* globals = nullptr;
  std::int64_t global_head_stride = 0;
};

// in A or A in, all float32. `input` is zero outside input_rect; input_globals [G] may be nullptr for zeros.
// Every grid token of output_rect is written: what lies outside must be known to be zero or not wanted. output_globals [G]: nullptr if
// not wanted; the sum then runs over input_rect and the globals alone.
struct AttentionProduct {
  AttentionScores scores;
  HeadFusion fusion = HeadFusion::kMean;
  bool rows_sum_to_one = false;        // rows of maxima or minima are divided by their sums (those of zeros stay)
  ProductSide side = ProductSide::kRowTimesAttention;
  TokenRect input_rect;
  const float* input = nullptr;
  const float* input_globals = nullptr;
  TokenRect output_rect;
  float* output = nullptr;
  float* output_globals = nullptr;
};

}  // namespace fovea::kernels
