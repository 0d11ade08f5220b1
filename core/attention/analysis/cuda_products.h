// attention_products.h on an NVIDIA GPU, through the kernels (kernels/attention_products_cuda.h).
#pragma once

#include <ATen/core/Tensor.h>

#include "core/attention/analysis/attention_layer.h"
#include "core/attention/analysis/global_rows.h"

namespace fovea::analysis::cuda_products {

// Whether the kernels can answer for this layer: windows, head_dim 32, 64 or (not in float32) 128, up to 64 globals, a GPU since Ampere;
// the maximum or minimum of heads of one dilation. All else is left to block_sweep.h.
bool runs(const AttentionLayer& layer, const HeadChoice& heads);

// Log-sum-exp of all queries: [heads, N] float32.
at::Tensor row_lse(const AttentionLayer& layer);

// As in attention_products.h, globals included. Log-sum-exp of the queries needed is computed unless layer.lse holds that of all.
TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const HeadChoice& heads, RowSums sums);
TokenMap attention_times(const AttentionLayer& layer, const TokenMap& c, const GridRect& rect, const HeadChoice& heads, RowSums sums);

}  // namespace fovea::analysis::cuda_products
