// Layers for benchmarks: 6 heads of 64 channels in bfloat16, window 17 x 17, as the shipped model has them.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>

#include "core/attention/analysis/attention_layer.h"

namespace fovea::analysis::bench {

constexpr std::int64_t kHeads = 6, kHeadDim = 64, kWindow = 17, kDepth = 12, kPatternTokens = 1 << 16;

// Random tokens, a pattern of them repeated: what they are does not change what they cost.
inline at::Tensor tokens(std::int64_t count, const at::Device& device) {
  const auto pattern =
      at::randn({kPatternTokens, kHeads, kHeadDim}, at::TensorOptions().dtype(at::kFloat).device(device)).to(at::kBFloat16);
  auto all = at::empty({count, kHeads, kHeadDim}, pattern.options());
  for (std::int64_t first = 0; first < count; first += kPatternTokens) {
    const auto part = std::min(kPatternTokens, count - first);
    all.narrow(0, first, part).copy_(pattern.narrow(0, 0, part));
  }
  return all;
}

inline AttentionLayer make_layer(std::array<std::int64_t, 2> grid, std::int64_t globals, const at::Device& device) {
  AttentionLayer layer;
  layer.pattern = {.grid = grid, .global_tokens = globals, .window = {kWindow, kWindow}, .dilation = {1}};
  layer.query = tokens(layer.tokens(), device);
  layer.key = tokens(layer.tokens(), device);
  return layer;
}

}  // namespace fovea::analysis::bench
