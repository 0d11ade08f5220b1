// The operator by its definition: every query against every key, hidden keys masked. Shares no code with any back end.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/attention/local_global_attention.h"

namespace fovea::test {

struct AttentionProblem {
  AttentionPattern pattern;
  std::int64_t batch = 1, heads = 1, head_dim = 8;
  std::optional<double> scale;
  std::int64_t tokens() const { return pattern.global_tokens + pattern.grid[0] * pattern.grid[1]; }
};

std::string describe(const AttentionProblem& problem);

struct AttentionInputs {
  at::Tensor query, key, value;   // [B, N, heads, D]
};

// Normally distributed, slices of one packed projection [B, N, 3, heads, D], as a model passes them.
AttentionInputs random_inputs(const AttentionProblem& problem, std::uint64_t seed, at::ScalarType dtype, at::Device device);

// Whether query token q sees key token k, from the definition.
bool sees(const AttentionProblem& problem, std::int64_t head, std::int64_t q, std::int64_t k);

// 0 where visible, minus infinity elsewhere: float32 [heads, N, N] on the CPU.
at::Tensor definition_mask(const AttentionProblem& problem);

// Dense attention with the definition's mask in the inputs' own dtype, on the CPU; float64 inputs give the oracle. Differentiable.
AttentionResult dense_masked(const AttentionProblem& problem, const at::Tensor& mask, const AttentionInputs& inputs);

AttentionInputs converted(const AttentionInputs& inputs, at::ScalarType dtype, at::Device device);

}  // namespace fovea::test
