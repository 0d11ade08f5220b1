// The grid queries' part of attention_products.h in plain torch, block by block: all layers on a GPU, and statistics of dense ones.
#pragma once

#include "core/attention/analysis/attention_products.h"

namespace fovea::analysis::block_sweep {

// As in window_sweep.h, on any device.
TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const HeadChoice& heads, RowSums sums);
TokenMap attention_times(const AttentionLayer& layer, const TokenMap& c, const GridRect& rect, const HeadChoice& heads, RowSums sums);
RowStatistics row_statistics(const AttentionLayer& layer, const GridRect& rect);

}  // namespace fovea::analysis::block_sweep
