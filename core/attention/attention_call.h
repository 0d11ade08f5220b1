// What the parts of the operator hand to each other: arguments that have been checked, and gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/attention/local_global_attention.h"

namespace fovea {

// Checked arguments of one call. query, key, value: [B, N, heads, D], one dtype, one device, D contiguous.
struct AttentionCall {
  at::Tensor query, key, value;
  std::array<std::int64_t, 2> grid{0, 0}, window{1, 1};
  std::int64_t global_tokens = 0;
  std::vector<std::int32_t> dilation;   // [heads], clipped to the grid: a larger one sees the same keys
  double scale = 1.0;

  std::int64_t batch() const { return query.size(0); }
  std::int64_t tokens() const { return query.size(1); }
  std::int64_t heads() const { return query.size(2); }
  std::int64_t head_dim() const { return query.size(3); }
};

// Gradients of sum(output * grad_output) + sum(lse * grad_lse), and what the forward pass gave.
struct AttentionGradientCall {
  AttentionCall call;
  at::Tensor output, lse;               // as AttentionResult
  at::Tensor grad_output;               // like output
  at::Tensor grad_lse;                  // like lse; undefined if nothing depends on the lse
};

struct AttentionGradients {
  at::Tensor query, key, value;         // [B, N, heads, D], contiguous
};

}  // namespace fovea
