// Layers with windows on the CPU: the grid queries' part of attention_products.h, tile by tile. Global queries are the caller's.
#pragma once

#include "core/attention/analysis/attention_products.h"

namespace fovea::analysis::window_sweep {

// r.values (CPU, contiguous) over r.support; r.globals is ignored. Result: support within_reach(r.support).
TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const HeadChoice& heads, RowSums sums);

// The rows of the queries in rect; result.globals are zeros.
TokenMap attention_times(const AttentionLayer& layer, const TokenMap& c, const GridRect& rect, const HeadChoice& heads, RowSums sums);

// Fills what concerns the grid.
RowStatistics row_statistics(const AttentionLayer& layer, const GridRect& rect);

}  // namespace fovea::analysis::window_sweep
