// What attention analysis starts from: the queries and keys of one layer. Attention itself is never stored; its rows are computed when
// they are asked for.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/attention/local_global_attention.h"

namespace fovea::analysis {

// Tokens of the grid: rows y ... y + height - 1, columns x ... x + width - 1.
struct GridRect {
  std::int64_t y = 0, x = 0, height = 0, width = 0;
  std::int64_t area() const { return height * width; }
  bool empty() const { return height <= 0 || width <= 0; }
  bool operator==(const GridRect&) const = default;
};

// One layer. Sequence as in the operator: G global tokens, then the grid, row-major; N = G + H * W.
struct KeptWindows;

struct AttentionLayer {
  at::Tensor query, key;      // [N, heads, D]; float32, bfloat16 or float16, any strides with D contiguous, one device
  AttentionPattern pattern;   // a dense layer: dense_pattern()
  double scale = 0;           // 0: 1/sqrt(D)
  at::Tensor lse{};           // [heads, >= G] float32: log-sum-exp of at least the global queries, as the operator returns it. Undefined:
                              // recomputed where needed, one pass over all keys a call; add_lse() does that once for all calls
  std::shared_ptr<const KeptWindows> kept{};   // of this pattern: products with its choice of heads read it instead (kept_windows.h)

  std::int64_t global_tokens() const { return pattern.global_tokens; }
  std::int64_t height() const { return pattern.grid[0]; }
  std::int64_t width() const { return pattern.grid[1]; }
  std::int64_t tokens() const { return global_tokens() + height() * width(); }
  std::int64_t heads() const { return query.size(1); }
  std::int64_t head_dim() const { return query.size(2); }
  double softmax_scale() const;
  std::int64_t dilation(std::int64_t head) const;
  GridRect grid_rect() const { return {0, 0, height(), width()}; }
  // Every query of the grid sees the whole grid in every head.
  bool dense() const;
};

// The pattern of a layer where every token sees every token.
AttentionPattern dense_pattern(std::array<std::int64_t, 2> grid, std::int64_t global_tokens);

// Error{kContract} unless shapes, dtypes and pattern fit together.
void check_layer(const AttentionLayer& layer);

// Fills layer.lse if it is undefined, with what later questions need: [heads, G], one pass over the keys; where the GPU's kernels answer
// [heads, N], one pass over all scores.
void add_lse(AttentionLayer& layer);

// A stack of layers, recomputed or resident: layer(l), 0 <= l < depth, may be called in any order; all share one grid.
struct LayerStack {
  std::int64_t depth = 0;
  std::function<AttentionLayer(std::int64_t)> layer;
};

// How the heads of a layer are made one. Mean is the usual choice; maximum and minimum are heuristics: their rows do not sum to 1. A
// gradient-weighted fusion (relevance, Chefer et al. 2021) would be one more value, with weights per row beside the layer.
enum class HeadFusion { kOne, kMean, kMax, kMin };
struct HeadChoice {
  HeadFusion fusion = HeadFusion::kMean;
  std::int64_t head = 0;      // kOne
  bool operator==(const HeadChoice&) const = default;
};

// Numbers on tokens that are zero outside a rectangle: a row, a column, a rollout. All tensors on the layers' device, float32.
struct TokenMap {
  std::array<std::int64_t, 2> grid{0, 0};
  at::Tensor globals;         // [G]
  GridRect support;
  at::Tensor values;          // [support.height, support.width]

  at::Tensor dense() const;   // [H, W], zero outside the support
  double grid_total() const;  // sums in float64
  double global_total() const;
};

// The token sets that a person can ask about, as weights. Error{kUsage} for tokens outside the grid (or globals that do not exist) and
// for empty sets: "token (40, 2) lies outside the grid of 37 x 37 tokens".
struct WeightedToken { std::int64_t y = 0, x = 0; double weight = 1; };
TokenMap token_map(const AttentionLayer& layer, std::int64_t y, std::int64_t x);
TokenMap box_map(const AttentionLayer& layer, const GridRect& box);
TokenMap brush_map(const AttentionLayer& layer, const std::vector<WeightedToken>& brush);
TokenMap global_map(const AttentionLayer& layer, std::int64_t global_token);
void check_head(const AttentionLayer& layer, const HeadChoice& heads);

}  // namespace fovea::analysis
