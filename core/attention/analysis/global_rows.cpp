#include "core/attention/analysis/global_rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>

namespace fovea::analysis {
namespace {

constexpr std::int64_t kChunkTokens = 1 << 15;   // 50 MB of float32 keys at 384 channels

// Calls visit(first, scores [heads, G, chunk] float32) for every chunk of keys.
void for_each_chunk(const AttentionLayer& layer, const std::function<void(std::int64_t, const at::Tensor&)>& visit) {
  const auto query = (layer.query.narrow(0, 0, layer.global_tokens()).to(at::kFloat) * layer.softmax_scale()).transpose(0, 1).contiguous();
  for (std::int64_t first = 0; first < layer.tokens(); first += kChunkTokens) {
    const auto count = std::min(kChunkTokens, layer.tokens() - first);
    const auto key = layer.key.narrow(0, first, count).to(at::kFloat).permute({1, 2, 0});
    visit(first, at::matmul(query, key));
  }
}

at::Tensor exact_global_lse(const AttentionLayer& layer) {
  at::Tensor lse;   // [heads, G] float64
  for_each_chunk(layer, [&](std::int64_t, const at::Tensor& scores) {
    const auto chunk = at::logsumexp(scores.to(at::kDouble), {-1});
    lse = lse.defined() ? at::logaddexp(lse, chunk) : chunk;
  });
  return lse;
}

// The same for probabilities. An lse given in float32 (or computed from another rounding of the keys) is not exact; the sum of a row is.
void for_each_probability(const AttentionLayer& layer, const std::function<void(std::int64_t, const at::Tensor&)>& visit) {
  if (layer.global_tokens() == 0) return;
  const auto lse = (layer.lse.defined() ? layer.lse.narrow(1, 0, layer.global_tokens()) : global_lse(layer)).unsqueeze(-1).to(at::kFloat);
  for_each_chunk(layer, [&](std::int64_t first, const at::Tensor& scores) { visit(first, (scores - lse).exp_()); });
}

}  // namespace

at::Tensor fuse_heads(const at::Tensor& probabilities, const HeadChoice& heads, std::int64_t dimension) {
  switch (heads.fusion) {
    case HeadFusion::kOne: return probabilities.select(dimension, heads.head);
    case HeadFusion::kMean: return probabilities.mean(dimension);
    case HeadFusion::kMax: return probabilities.amax(dimension);
    case HeadFusion::kMin: return probabilities.amin(dimension);
  }
  return {};
}

at::Tensor global_lse(const AttentionLayer& layer) { return exact_global_lse(layer).to(at::kFloat); }

at::Tensor rows_that_sum_to_one(at::Tensor rows) { return rows.div_(rows.sum({-1}, true, at::kDouble).to(at::kFloat)); }

at::Tensor global_rows(const AttentionLayer& layer, const HeadChoice& heads, RowSums sums) {
  auto rows = at::empty({layer.global_tokens(), layer.tokens()}, layer.query.options().dtype(at::kFloat));
  for_each_probability(layer, [&](std::int64_t first, const at::Tensor& probabilities) {
    rows.narrow(1, first, probabilities.size(2)).copy_(fuse_heads(probabilities, heads, 0));
  });
  const bool stochastic = heads.fusion == HeadFusion::kOne || heads.fusion == HeadFusion::kMean || sums == RowSums::kOne;
  return stochastic ? rows_that_sum_to_one(rows) : rows;
}

at::Tensor global_rows_by_head(const AttentionLayer& layer) {
  auto rows = at::empty({layer.heads(), layer.global_tokens(), layer.tokens()}, layer.query.options().dtype(at::kFloat));
  for_each_probability(layer, [&](std::int64_t first, const at::Tensor& probabilities) {
    rows.narrow(2, first, probabilities.size(2)).copy_(probabilities);
  });
  return rows_that_sum_to_one(rows);
}

GlobalStatistics global_statistics(const AttentionLayer& layer) {
  const auto lse = exact_global_lse(layer);
  auto entropy = at::zeros_like(lse), global_mass = at::zeros_like(lse);
  for_each_chunk(layer, [&](std::int64_t first, const at::Tensor& scores) {
    const auto log_probability = scores.to(at::kDouble) - lse.unsqueeze(-1);
    const auto probability = log_probability.exp();
    entropy.sub_((probability * log_probability).sum(-1));
    const auto globals_here = std::clamp<std::int64_t>(layer.global_tokens() - first, 0, scores.size(2));
    global_mass.add_(probability.narrow(2, 0, globals_here).sum(-1));
  });
  return {lse, entropy, global_mass};
}

}  // namespace fovea::analysis
