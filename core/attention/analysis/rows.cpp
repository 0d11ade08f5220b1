#include "core/attention/analysis/rows.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/attention/analysis/attention_products.h"
#include "core/base/error.h"

namespace fovea::analysis {
namespace {

bool single_token(const TokenMap& from) {
  return from.support.area() == 1 && (from.globals.numel() == 0 || !from.globals.ne(0).any().item<bool>());
}

// All heads' rows of one grid token, float64: grid part [heads, height, width] over support, and [heads, G].
struct HeadRows { at::Tensor grid, globals; };

HeadRows rows_of_token(const AttentionLayer& layer, const GridRect& token, const GridRect& support) {
  const auto globals = layer.global_tokens();
  const auto keys = layer.key.narrow(0, globals, layer.height() * layer.width()).unflatten(0, {layer.height(), layer.width()});
  const auto query = layer.query[globals + token.y * layer.width() + token.x].to(at::kDouble) * layer.softmax_scale();   // [heads, D]
  auto grid = at::zeros({layer.heads(), support.height, support.width}, query.options());
  auto global = at::zeros({layer.heads(), globals}, query.options());
  for (std::int64_t head = 0; head < layer.heads(); ++head) {
    const auto step = layer.dilation(head);
    const auto range = [&](int axis, std::int64_t centre) {   // first key and number of keys along an axis
      const auto radius = (layer.pattern.window[axis] - 1) / 2;
      const auto before = std::min(radius, centre / step), after = std::min(radius, (layer.pattern.grid[axis] - 1 - centre) / step);
      return std::pair{centre - before * step, before + after + 1};
    };
    const auto [top, rows] = range(0, token.y);
    const auto [left, columns] = range(1, token.x);
    const auto near =
        keys.slice(0, top, top + (rows - 1) * step + 1, step).slice(1, left, left + (columns - 1) * step + 1, step).select(2, head);
    const auto scores = at::cat({at::mv(layer.key.narrow(0, 0, globals).select(1, head).to(at::kDouble), query[head]),
                                 at::matmul(near.to(at::kDouble), query[head]).flatten()});
    const auto probabilities = at::softmax(scores, 0);
    global[head].copy_(probabilities.narrow(0, 0, globals));
    const auto y = top - support.y, x = left - support.x;
    grid[head].slice(0, y, y + (rows - 1) * step + 1, step).slice(1, x, x + (columns - 1) * step + 1, step)
        .copy_(probabilities.narrow(0, globals, rows * columns).view({rows, columns}));
  }
  return {grid, global};
}

double total_weight(const TokenMap& from) { return from.grid_total() + from.global_total(); }

}  // namespace

TokenMap row(const AttentionLayer& layer, const TokenMap& from, const HeadChoice& heads) {
  check_layer(layer);
  check_head(layer, heads);
  if (single_token(from)) {
    const auto support = within_reach(layer, from.support);
    const auto rows = rows_of_token(layer, from.support, support);
    return {.grid = layer.pattern.grid, .globals = fuse_heads(rows.globals, heads, 0).to(at::kFloat), .support = support,
            .values = fuse_heads(rows.grid, heads, 0).to(at::kFloat)};
  }
  auto weights = from;
  const double total = total_weight(from);
  require(total > 0, "row: the set of tokens is empty");
  weights.values = from.values / total;
  weights.globals = from.globals / total;
  return times_attention(weights, layer, heads, RowSums::kAsFused);
}

TokenMap column(const AttentionLayer& layer, const TokenMap& at, const HeadChoice& heads) {
  return attention_times(layer, at, heads, RowSums::kAsFused);
}

TokenMap norm_weighted_row(const AttentionLayer& layer, const TokenMap& from, const HeadChoice& heads, const at::Tensor& values,
                           const at::Tensor& output_weight) {
  check_layer(layer);
  check_head(layer, heads);
  if (heads.fusion != HeadFusion::kOne && heads.fusion != HeadFusion::kMean) {
    throw Error(ErrorKind::kUsage, "norm-weighted attention is defined for one head or for all together (mean)");
  }
  require(values.sizes() == layer.key.sizes() && output_weight.size(1) == layer.heads() * layer.head_dim(),
          "norm_weighted_row: values must be [N, heads, D], output_weight [C, heads * D]");
  const auto first = heads.fusion == HeadFusion::kOne ? heads.head : 0, count = heads.fusion == HeadFusion::kOne ? 1 : layer.heads();
  std::vector<TokenMap> rows;
  for (std::int64_t head = first; head < first + count; ++head) rows.push_back(row(layer, from, {HeadFusion::kOne, head}));
  const auto weight = output_weight.to(at::kFloat).narrow(1, first * layer.head_dim(), count * layer.head_dim());
  const auto norms = [&](const at::Tensor& attention, const at::Tensor& read) {   // [heads, n], [n, heads, D] -> [n]
    const auto mixed = (attention.t().unsqueeze(-1) * read.narrow(1, first, count).to(at::kFloat)).flatten(1);
    return at::linalg_vector_norm(at::matmul(mixed, weight.t()), 2, {1});
  };
  const auto& support = rows.front().support;   // the same for all heads: within the widest head's reach
  const auto globals = layer.global_tokens();
  TokenMap result = rows.front();
  const auto stacked = [&](auto part) {
    std::vector<at::Tensor> parts;
    for (const auto& map : rows) parts.push_back(part(map));
    return at::stack(parts);
  };
  result.globals = norms(stacked([](const TokenMap& map) { return map.globals; }), values.narrow(0, 0, globals));
  result.values = at::empty_like(result.values);
  const auto grid = values.narrow(0, globals, layer.height() * layer.width()).unflatten(0, {layer.height(), layer.width()});
  // A grid row at a time: values of a whole grid would be a copy of the image's features.
  for (std::int64_t y = 0; y < support.height; ++y) {
    result.values[y].copy_(
        norms(stacked([&](const TokenMap& map) { return map.values[y]; }), grid[support.y + y].narrow(0, support.x, support.width)));
  }
  return result;
}

}  // namespace fovea::analysis
