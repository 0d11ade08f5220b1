// The rows of the global queries, which see everything: a few dense rows, computed in chunks of keys.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/attention/analysis/attention_layer.h"

namespace fovea::analysis {

// Whether the rows of a fused attention are left as the fusion gives them, or scaled to sum to 1 (what rollout needs).
enum class RowSums { kAsFused, kOne };

// Log-sum-exp of the global queries: [heads, G] float32, summed in float64.
at::Tensor global_lse(const AttentionLayer& layer);

// Fused rows of all global queries: [G, N] float32. Memory: 4 * G * N bytes. Uses layer.lse if it is there.
at::Tensor global_rows(const AttentionLayer& layer, const HeadChoice& heads, RowSums sums);
// Of every head by itself: [heads, G, N] float32, rows sum to 1.
at::Tensor global_rows_by_head(const AttentionLayer& layer);
// rows [..., N], in place: each by its sum.
at::Tensor rows_that_sum_to_one(at::Tensor rows);

// Entropy (natural log) and mass on global keys of the global queries, each [heads, G] float64; lse as global_lse.
struct GlobalStatistics { at::Tensor lse, entropy, global_mass; };
GlobalStatistics global_statistics(const AttentionLayer& layer);

// Makes one of [heads, ...]: as HeadChoice says, over dimension `dimension`.
at::Tensor fuse_heads(const at::Tensor& probabilities, const HeadChoice& heads, std::int64_t dimension);

}  // namespace fovea::analysis
