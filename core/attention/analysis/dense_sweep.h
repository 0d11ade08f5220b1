// Dense layers on the CPU: the grid queries' part of attention_products.h and of kept_windows.h. Rows of a block of queries, one head after
// another, stay in the processor's cache.
#pragma once

#include <stop_token>
#include <vector>

#include "core/attention/analysis/attention_products.h"
#include "core/attention/analysis/kept_windows.h"

namespace fovea::analysis::dense_sweep {

bool runs(const AttentionLayer& layer);

// As in window_sweep.h.
TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const HeadChoice& heads, RowSums sums);
TokenMap attention_times(const AttentionLayer& layer, const TokenMap& c, const GridRect& rect, const HeadChoice& heads, RowSums sums);

// As in kept_windows.h; weights: halves [H * W, N], inverse_sums: [H * W].
std::int64_t kept_bytes(const AttentionLayer& layer);
Kept keep(const AttentionLayer& layer, const HeadChoice& heads, const std::stop_token& stop);
Kept keep_fused(const AttentionLayer& layer, const KeptWindows& made_when_read, const std::stop_token& stop);
TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const KeptWindows& kept);
TokenMap attention_times(const AttentionLayer& layer, const KeptWindows& kept, const TokenMap& c, const GridRect& rect);

}  // namespace fovea::analysis::dense_sweep
