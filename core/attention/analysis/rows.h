// Where tokens look (rows of the attention matrix), and who looks at them (columns).
#pragma once

#include "core/attention/analysis/attention_layer.h"

namespace fovea::analysis {

// The mean row of the tokens in `from`, weighted: where they look. Zero outside the support; globals + values sum to 1, to the rounding of
// float32, for one head and for the mean of heads. Maximum and minimum over heads are shown as they are and do not sum to 1.
//     row(i)_j = exp(s q_i.k_j) / sum_j' exp(s q_i.k_j')     over the keys j' that query i sees
// A single token is computed in float64. Caveat: attention weights say where values are taken from, not how large those values are or
// what is made of them later (Jain & Wallace 2019; see norm_weighted_row).
TokenMap row(const AttentionLayer& layer, const TokenMap& from, const HeadChoice& heads);

// Who looks at the tokens in `at`: for each query the share of its attention (weighted by `at`) that falls on them. Only queries whose
// window holds one of them, and the global tokens, can. Not a distribution: a column has any sum.
TokenMap column(const AttentionLayer& layer, const TokenMap& at, const HeadChoice& heads);

// Row of one token, weighted by the norm of what is read: |sum over heads of a_ij W_h v_j| for all heads together (HeadFusion::kMean),
// |a_ij W_h v_j| for one (Kobayashi et al. 2020, "Attention is not only a weight", eq. 5). values [N, heads, D]; output_weight [C,
// heads * D]: the projection that follows attention. Not a distribution; biases and LayerScale, the same for every key, are left out.
TokenMap norm_weighted_row(const AttentionLayer& layer, const TokenMap& from, const HeadChoice& heads, const at::Tensor& values,
                           const at::Tensor& output_weight);

}  // namespace fovea::analysis
