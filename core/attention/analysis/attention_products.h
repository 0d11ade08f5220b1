// The algebra that everything else is made of: products of vectors on tokens with a layer's attention matrix A, head by head or fused,
// without storing A. Cost: one attention row a query touched; nothing is quadratic unless the layer is dense.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/attention/analysis/attention_layer.h"
#include "core/attention/analysis/global_rows.h"

namespace fovea::analysis {

// r A: what the rows of the tokens in r, weighted, say together. The support grows by the window's reach; to the whole grid if r has
// weight on a global token. Arithmetic in float32, softmax sums in float64. The order of summation does not depend on threads.
TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const HeadChoice& heads, RowSums sums);

// A c: how much every token looks at the tokens in c. The support grows likewise; to the whole grid if c has weight on a global token.
TokenMap attention_times(const AttentionLayer& layer, const TokenMap& c, const HeadChoice& heads, RowSums sums);

// The same for the queries of the grid alone: zeros for global queries, whose rows nobody computes.
TokenMap attention_times_on_grid(const AttentionLayer& layer, const TokenMap& c, const HeadChoice& heads, RowSums sums);

// Numbers of the rows of the grid queries in a rectangle and of all global queries, one a head.
struct RowStatistics {
  GridRect rect;
  // [heads, rect.height, rect.width] float32
  at::Tensor lse{};           // natural log of the softmax sum
  at::Tensor entropy{};       // natural log
  at::Tensor global_mass{};   // share of attention on global tokens
  at::Tensor mean_distance{}; // tokens; of the attention on grid tokens (0 where there is none), Dosovitskiy et al. 2021, figure 7
  // [heads, G] float32; distance has no meaning for them
  at::Tensor global_query_lse{}, global_query_entropy{}, global_query_global_mass{};
};
RowStatistics row_statistics(const AttentionLayer& layer, const GridRect& rect);

// The grid tokens within one layer's reach of a rectangle.
GridRect within_reach(const AttentionLayer& layer, const GridRect& rect);

}  // namespace fovea::analysis
