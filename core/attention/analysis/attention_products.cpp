#include "core/attention/analysis/attention_products.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/attention/analysis/block_sweep.h"
#include "core/attention/analysis/cuda_products.h"
#include "core/attention/analysis/dense_sweep.h"
#include "core/attention/analysis/kept_windows.h"
#include "core/attention/analysis/window_offsets.h"
#include "core/attention/analysis/window_sweep.h"
#include "core/base/error.h"

namespace fovea::analysis {
namespace {

bool is_kept(const AttentionLayer& layer, const HeadChoice& heads) { return layer.kept && layer.kept->heads == heads; }

bool by_windows(const AttentionLayer& layer) { return layer.query.is_cpu() && !layer.dense(); }

TokenMap contiguous(const TokenMap& map) {
  auto result = map;
  result.values = map.values.contiguous();
  result.globals = map.globals.contiguous();
  return result;
}

bool has_weight(const at::Tensor& values) { return values.numel() > 0 && values.ne(0).any().item<bool>(); }

void check_question(const AttentionLayer& layer, const TokenMap& map, const HeadChoice& heads) {
  check_layer(layer);
  check_head(layer, heads);
  require(map.grid == layer.pattern.grid && map.globals.size(0) == layer.global_tokens(), "a token map belongs to its layers' grid");
}

GridRect queries_that_see(const AttentionLayer& layer, const TokenMap& c) {
  return has_weight(c.globals) ? layer.grid_rect() : within_reach(layer, c.support);
}

// What the rows of the global queries say about c, for each of them: [G].
at::Tensor global_rows_times(const AttentionLayer& layer, const TokenMap& c, const HeadChoice& heads, RowSums sums) {
  const auto rows = global_rows(layer, heads, sums);
  const auto globals = layer.global_tokens();
  auto result = at::mv(rows.narrow(1, 0, globals).to(at::kDouble), c.globals.to(at::kDouble));
  if (!c.support.empty()) {
    const auto grid = rows.narrow(1, globals, rows.size(1) - globals).view({globals, layer.height(), layer.width()});
    const auto around = grid.narrow(1, c.support.y, c.support.height).narrow(2, c.support.x, c.support.width);
    for (std::int64_t g = 0; g < globals; ++g) result[g] += (around[g] * c.values).sum(at::kDouble);
  }
  return result.to(at::kFloat);
}

// The same for heads whose rows need no rescaling: only the keys in c's support matter once the log-sum-exp is known.
at::Tensor global_queries_times(const AttentionLayer& layer, const TokenMap& c, const HeadChoice& heads) {
  const auto globals = layer.global_tokens();
  const auto lse = layer.lse.narrow(1, 0, globals).unsqueeze(-1).to(at::kFloat);
  const auto query = (layer.query.narrow(0, 0, globals).to(at::kFloat) * layer.softmax_scale()).transpose(0, 1);   // [heads, G, D]
  const auto weigh = [&](const at::Tensor& keys, const at::Tensor& weights) {
    const auto scores = at::matmul(query, keys.to(at::kFloat).permute({1, 2, 0}));
    return at::matmul(fuse_heads((scores - lse).exp_(), heads, 0).to(at::kDouble), weights.to(at::kDouble));
  };
  auto result = weigh(layer.key.narrow(0, 0, globals), c.globals);
  if (!c.support.empty()) {
    const auto grid = layer.key.narrow(0, globals, layer.height() * layer.width()).unflatten(0, {layer.height(), layer.width()});
    for (std::int64_t y = 0; y < c.support.height; ++y) {   // row by row: the keys of a support are not contiguous
      result.add_(weigh(grid[c.support.y + y].narrow(0, c.support.x, c.support.width), c.values[y]));
    }
  }
  return result.to(at::kFloat);
}

}  // namespace

GridRect within_reach(const AttentionLayer& layer, const GridRect& rect) {
  if (rect.empty()) return {};
  std::int64_t dilation = 1;
  for (const auto d : layer.pattern.dilation) dilation = std::max(dilation, d);
  const auto reach_y = dilation * ((layer.pattern.window[0] - 1) / 2), reach_x = dilation * ((layer.pattern.window[1] - 1) / 2);
  const auto top = std::max<std::int64_t>(rect.y - reach_y, 0), left = std::max<std::int64_t>(rect.x - reach_x, 0);
  return {top, left, std::min(rect.y + rect.height + reach_y, layer.height()) - top,
          std::min(rect.x + rect.width + reach_x, layer.width()) - left};
}

TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const HeadChoice& heads, RowSums sums) {
  check_question(layer, r, heads);
  if (cuda_products::runs(layer, heads)) return cuda_products::times_attention(r, layer, heads, sums);
  TokenMap result{.grid = layer.pattern.grid, .globals = at::zeros_like(r.globals), .support = {},
                  .values = at::zeros({0, 0}, r.values.options())};
  const bool kept = is_kept(layer, heads);
  if (!r.support.empty()) {
    result = kept ? analysis::times_attention(r, layer, *layer.kept)
             : by_windows(layer)        ? window_sweep::times_attention(contiguous(r), layer, heads, sums)
             : dense_sweep::runs(layer) ? dense_sweep::times_attention(r, layer, heads, sums)
                                        : block_sweep::times_attention(r, layer, heads, sums);
  }
  if (!has_weight(r.globals)) return result;
  const auto from_globals = at::matmul(r.globals, kept ? layer.kept->global_rows : global_rows(layer, heads, sums));   // [N]
  const auto globals = layer.global_tokens();
  result.globals = result.globals + from_globals.narrow(0, 0, globals);
  auto whole = from_globals.narrow(0, globals, layer.height() * layer.width()).view({layer.height(), layer.width()});
  if (!result.support.empty()) {
    const auto& support = result.support;
    whole.narrow(0, support.y, support.height).narrow(1, support.x, support.width).add_(result.values);
  }
  result.support = layer.grid_rect();
  result.values = whole;
  return result;
}

TokenMap attention_times_on_grid(const AttentionLayer& layer, const TokenMap& c, const HeadChoice& heads, RowSums sums) {
  check_question(layer, c, heads);
  const auto rect = queries_that_see(layer, c);
  if (cuda_products::runs(layer, heads)) {
    auto result = cuda_products::attention_times(layer, c, rect, heads, sums);
    result.globals.zero_();
    return result;
  }
  const bool kept = is_kept(layer, heads);
  return kept ? analysis::attention_times(layer, *layer.kept, contiguous(c), rect)
         : by_windows(layer)        ? window_sweep::attention_times(layer, contiguous(c), rect, heads, sums)
         : dense_sweep::runs(layer) ? dense_sweep::attention_times(layer, c, rect, heads, sums)
                                    : block_sweep::attention_times(layer, c, rect, heads, sums);
}

TokenMap attention_times(const AttentionLayer& layer, const TokenMap& c, const HeadChoice& heads, RowSums sums) {
  check_question(layer, c, heads);
  if (cuda_products::runs(layer, heads)) return cuda_products::attention_times(layer, c, queries_that_see(layer, c), heads, sums);
  auto result = attention_times_on_grid(layer, c, heads, sums);
  if (layer.global_tokens() == 0) return result;
  const bool rescaled = sums == RowSums::kOne && (heads.fusion == HeadFusion::kMax || heads.fusion == HeadFusion::kMin);
  result.globals = layer.lse.defined() && !rescaled ? global_queries_times(layer, c, heads) : global_rows_times(layer, c, heads, sums);
  return result;
}

RowStatistics row_statistics(const AttentionLayer& layer, const GridRect& rect) {
  check_layer(layer);
  auto result = by_windows(layer) ? window_sweep::row_statistics(layer, rect) : block_sweep::row_statistics(layer, rect);
  if (layer.global_tokens() > 0) {
    const auto of_globals = global_statistics(layer);
    result.global_query_lse = of_globals.lse.to(at::kFloat);
    result.global_query_entropy = of_globals.entropy.to(at::kFloat);
    result.global_query_global_mass = of_globals.global_mass.to(at::kFloat);
  }
  return result;
}

}  // namespace fovea::analysis
