// What a sparsity pattern would cost: how much of a dense layer's attention falls where the pattern looks. On crops where dense fits.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/attention/analysis/attention_layer.h"

namespace fovea::analysis {

// The share of each grid query's dense attention by where it falls, for all window sizes in one pass: sums by Chebyshev distance. What any
// window keeps, and what it loses, are sums of them, each exact to rounding where it is small.
struct KeptMass {
  at::Tensor rings;     // [heads, H, W, radii + 1] float32: mass on grid tokens 0, 1, ... steps of the dilation away; last: between steps
  at::Tensor globals;   // [heads, H, W, G] float32: mass on each global token
  std::int64_t dilation = 1;

  std::int64_t radii() const { return rings.size(-1) - 1; }
  // Mass inside a square window of 2 * radius + 1 (clamped to the grid) and the first `global_tokens` globals, and outside: [heads, H, W].
  at::Tensor at(std::int64_t radius, std::int64_t global_tokens) const;
  at::Tensor lost(std::int64_t radius, std::int64_t global_tokens) const;
  // What windows keep, averaged over queries, for every radius, all globals kept: [heads, radii] float64.
  at::Tensor curve() const;
};

// layer: any pattern; its queries and keys are attended densely. Work and memory for time: quadratic in the tokens, chunk by chunk.
// Caveat: masses of one layer with the dense model's features. A model trained or run with the pattern has other features; see
// compare_rows() and, for what comes out in the end, AttentionProbe::pattern_effect().
KeptMass kept_mass(const AttentionLayer& layer, std::int64_t dilation = 1);

// For the same queries and keys, the pattern's row p' is the dense row p cut to what is kept and scaled up by 1 / m, m the kept mass,
// l = 1 - m what is lost. Then distances need no second pass:
//     total variation |p - p'|_1 / 2       = l
//     Jensen-Shannon divergence, in nats   = (m ln(2m / (1 + m)) + l ln 2 + ln(2 / (1 + m))) / 2,   at most ln 2; the root is a distance
at::Tensor jensen_shannon_of_lost(const at::Tensor& lost);

// Rows of two layers on one grid, each with its own pattern, queries and keys: a dense and a sparse run of a model (hybrids included).
struct RowDistances { at::Tensor total_variation, jensen_shannon; };   // [heads, H, W] float32
RowDistances compare_rows(const AttentionLayer& a, const AttentionLayer& b);

}  // namespace fovea::analysis
