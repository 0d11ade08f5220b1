// attention_products.h on an NVIDIA GPU, through the kernels (kernels/attention_products_cuda.h).
#pragma once

#include <ATen/core/Tensor.h>

#include "core/attention/analysis/attention_layer.h"

namespace fovea::analysis::cuda_products {

// Whether the kernels can answer for this layer: windows, one head or the mean of heads, head_dim 32, 64 or (not in float32) 128, up to 64
// globals, a GPU since Ampere. All else is left to block_sweep.h.
bool runs(const AttentionLayer& layer, const HeadChoice& heads);

// Log-sum-exp of all queries: [heads, N] float32.
at::Tensor row_lse(const AttentionLayer& layer);

// As in attention_products.h, globals included. Log-sum-exp of the queries needed is computed unless layer.lse holds that of all.
TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const HeadChoice& heads);
TokenMap attention_times(const AttentionLayer& layer, const TokenMap& c, const GridRect& rect, const HeadChoice& heads);

}  // namespace fovea::analysis::cuda_products
