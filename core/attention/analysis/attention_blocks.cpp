#include "core/attention/analysis/attention_blocks.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "core/attention/analysis/window_offsets.h"

namespace fovea::analysis {
namespace {

constexpr std::int64_t kTileSide = 16;

std::int64_t scores_at_once(const AttentionLayer& layer) { return layer.query.is_cuda() ? std::int64_t{1} << 28 : std::int64_t{1} << 24; }

// Tokens of a rectangle that may stick out of the grid (zeros there): float32 [heads, D, height, width].
at::Tensor channels_first(const AttentionLayer& layer, const at::Tensor& tokens, const GridRect& rect) {
  const auto top = std::max<std::int64_t>(rect.y, 0), bottom = std::min(rect.y + rect.height, layer.height());
  const auto left = std::max<std::int64_t>(rect.x, 0), right = std::min(rect.x + rect.width, layer.width());
  const auto grid = tokens.narrow(0, layer.global_tokens(), layer.height() * layer.width()).unflatten(0, {layer.height(), layer.width()});
  const auto inside = grid.slice(0, top, bottom).slice(1, left, right).to(at::kFloat).permute({2, 3, 0, 1});
  return at::constant_pad_nd(inside, {left - rect.x, rect.x + rect.width - right, top - rect.y, rect.y + rect.height - bottom}, 0);
}

// [..., height, tiles * step + rest] -> [tiles, ..., height * width], tiles overlapping where width > step.
at::Tensor cut_tiles(const at::Tensor& plane, std::int64_t width, std::int64_t step) {
  auto tiles = plane.unfold(-1, width, step);           // [..., height, tiles, width]
  return tiles.movedim(-2, 0).flatten(-2);
}

// Which keys lie outside the grid: bool [tiles, 1, 1, keys].
at::Tensor outside_grid(const AttentionLayer& layer, const AttentionBlock& block) {
  const auto options = layer.query.options().dtype(at::kLong);
  const auto y = at::arange(block.keys.y, block.keys.y + block.keys.height, options).unsqueeze(1);
  const auto x = at::arange(block.keys.x, block.keys.x + block.keys_width(), options).unsqueeze(0);
  const auto outside = (y < 0).logical_or(y >= layer.height()).logical_or((x < 0).logical_or(x >= layer.width()));
  return cut_tiles(outside, block.keys.width, block.queries.width).unsqueeze(1).unsqueeze(1);
}

// Which keys lie outside the queries' windows: bool [heads, queries, keys], or [1, ...] where all heads have one dilation. The same for all
// blocks whose tiles are as high.
at::Tensor outside_window(const AttentionLayer& layer, const AttentionBlock& block) {
  const auto [dy, dx] = block_offsets(block, layer.query.options());
  std::vector<at::Tensor> masks;
  const auto& dilations = layer.pattern.dilation;
  const bool alike = std::adjacent_find(dilations.begin(), dilations.end(), std::not_equal_to<>()) == dilations.end();
  for (std::int64_t head = 0; head < (alike ? 1 : layer.heads()); ++head) {
    const auto step = layer.dilation(head);
    const auto beyond = [&](const at::Tensor& d, int axis) {
      return (d.remainder(step) != 0).logical_or(d.abs() > step * ((layer.pattern.window[axis] - 1) / 2));
    };
    masks.push_back(beyond(dy, 0).logical_or(beyond(dx, 1)));
  }
  return at::stack(masks);
}

void fill_block(const AttentionLayer& layer, const at::Tensor& hidden, AttentionBlock& block) {
  constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
  auto queries = block.queries;
  queries.width *= block.tiles;
  auto keys = block.keys;
  keys.width = block.keys_width();
  const auto query =
      (cut_tiles(channels_first(layer, layer.query, queries), block.queries.width, block.queries.width) * layer.softmax_scale())
          .transpose(-1, -2);
  auto scores = at::matmul(query, cut_tiles(channels_first(layer, layer.key, keys), block.keys.width, block.queries.width));
  if (!layer.dense()) {
    scores.masked_fill_(hidden, kMinusInfinity);
    scores.masked_fill_(outside_grid(layer, block), kMinusInfinity);
  }
  const auto global_keys = layer.key.narrow(0, 0, layer.global_tokens()).to(at::kFloat).permute({1, 2, 0});   // [heads, D, G]
  scores = at::cat({at::matmul(query, global_keys), scores}, -1);
  block.lse = at::logsumexp(scores, {-1});
  block.probabilities = (scores - block.lse.unsqueeze(-1)).exp_().nan_to_num_(0.0);   // a query outside the grid may see no key at all
  const auto total = block.probabilities.sum({-1}, true, at::kDouble).to(at::kFloat);
  block.probabilities.div_(total.clamp_min_(std::numeric_limits<float>::min()));
}

}  // namespace

BlockOffsets block_offsets(const AttentionBlock& block, const at::TensorOptions& options) {
  const auto integers = options.dtype(at::kLong);
  const auto coordinate = [&](std::int64_t first, std::int64_t count) { return at::arange(first, first + count, integers); };
  const auto of = [&](const GridRect& rect, bool vertical) {
    const auto line = vertical ? coordinate(rect.y, rect.height).unsqueeze(1) : coordinate(rect.x, rect.width).unsqueeze(0);
    return line.expand({rect.height, rect.width}).flatten();
  };
  return {of(block.keys, true).unsqueeze(0) - of(block.queries, true).unsqueeze(1),
          of(block.keys, false).unsqueeze(0) - of(block.queries, false).unsqueeze(1)};
}

void for_each_block(const AttentionLayer& layer, const GridRect& rect, const std::function<void(const AttentionBlock&)>& visit) {
  at::Tensor hidden;                  // outside_window() of blocks so high
  std::int64_t hidden_height = 0;
  const auto visit_filled = [&](AttentionBlock block) {
    if (!layer.dense() && hidden_height != block.queries.height) {
      hidden = outside_window(layer, block);
      hidden_height = block.queries.height;
    }
    fill_block(layer, hidden, block);
    visit(block);
  };
  const auto bottom = rect.y + rect.height, right = rect.x + rect.width;
  if (layer.dense()) {
    const auto rows_of_scores = std::max<std::int64_t>(1, scores_at_once(layer) / (layer.heads() * layer.tokens()));
    const auto columns = std::min(rect.width, rows_of_scores), rows = std::max<std::int64_t>(1, rows_of_scores / columns);
    for (std::int64_t y = rect.y; y < bottom; y += rows) {
      for (std::int64_t x = rect.x; x < right; x += columns) {
        visit_filled({.queries = {y, x, std::min(rows, bottom - y), std::min(columns, right - x)}, .keys = layer.grid_rect()});
      }
    }
    return;
  }
  const auto offsets = window_offsets(layer, {});
  const GridRect around{0, 0, kTileSide + 2 * offsets.reach_y, kTileSide + 2 * offsets.reach_x};
  const auto scores_of_tile = layer.heads() * kTileSide * kTileSide * (layer.global_tokens() + around.area());
  const auto tiles = std::clamp<std::int64_t>(scores_at_once(layer) / scores_of_tile, 1, (rect.width + kTileSide - 1) / kTileSide);
  for (std::int64_t y = rect.y; y < bottom; y += kTileSide) {
    for (std::int64_t x = rect.x; x < right; x += tiles * kTileSide) {
      visit_filled(
          {.tiles = std::min(tiles, (right - x + kTileSide - 1) / kTileSide),
           .queries = {y, x, std::min(kTileSide, bottom - y), kTileSide},
           .keys = {y - offsets.reach_y, x - offsets.reach_x, std::min(kTileSide, bottom - y) + 2 * offsets.reach_y, around.width}});
    }
  }
}

AttentionLayer chosen_heads(const AttentionLayer& layer, const HeadChoice& heads) {
  if (heads.fusion != HeadFusion::kOne) return layer;
  auto one = layer;
  one.query = layer.query.narrow(1, heads.head, 1);
  one.key = layer.key.narrow(1, heads.head, 1);
  one.pattern.dilation = {layer.dilation(heads.head)};
  one.scale = layer.softmax_scale();
  if (layer.lse.defined()) one.lse = layer.lse.narrow(0, heads.head, 1);
  return one;
}

}  // namespace fovea::analysis
