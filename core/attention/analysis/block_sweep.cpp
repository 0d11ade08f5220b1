#include "core/attention/analysis/block_sweep.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "core/attention/analysis/attention_blocks.h"

namespace fovea::analysis::block_sweep {
namespace {

GridRect intersection(const GridRect& a, const GridRect& b) {
  const auto top = std::max(a.y, b.y), left = std::max(a.x, b.x);
  return {top, left, std::min(a.y + a.height, b.y + b.height) - top, std::min(a.x + a.width, b.x + b.width) - left};
}

// The part of a plane over `whole` that lies in `part`.
at::Tensor window_of(const at::Tensor& plane, const GridRect& whole, const GridRect& part) {
  return plane.narrow(-2, part.y - whole.y, part.height).narrow(-1, part.x - whole.x, part.width);
}

// Values over `whole`, read over `rect` (zero elsewhere).
at::Tensor read(const at::Tensor& plane, const GridRect& whole, const GridRect& rect) {
  auto result = at::zeros({rect.height, rect.width}, plane.options());
  const auto common = intersection(whole, rect);
  if (!common.empty()) window_of(result, rect, common).copy_(window_of(plane, whole, common));
  return result;
}

GridRect all_queries(const AttentionBlock& block) {
  return {block.queries.y, block.queries.x, block.queries.height, block.queries.width * block.tiles};
}
GridRect all_keys(const AttentionBlock& block) { return {block.keys.y, block.keys.x, block.keys.height, block.keys_width()}; }

// [height, tiles * step + ...] -> [tiles, height * width]
at::Tensor to_tiles(const at::Tensor& plane, std::int64_t width, std::int64_t step) {
  return plane.unfold(1, width, step).transpose(0, 1).flatten(1);
}

// [tiles, ..., queries.area()] -> [..., height, tiles * width], without what sticks out of rect.
at::Tensor from_tiles(const at::Tensor& values, const AttentionBlock& block, const GridRect& inside) {
  const auto plane = values.unflatten(-1, {block.queries.height, block.queries.width}).movedim(0, -2).flatten(-2);
  return window_of(plane, all_queries(block), inside);
}

at::Tensor fused_rows(const AttentionBlock& block, const HeadChoice& heads, RowSums sums) {
  const auto choice = heads.fusion == HeadFusion::kOne ? HeadChoice{} : heads;   // chosen_heads() has left one
  auto fused = fuse_heads(block.probabilities, choice, 1);
  const bool rescale = sums == RowSums::kOne && (heads.fusion == HeadFusion::kMax || heads.fusion == HeadFusion::kMin);
  if (rescale) fused = fused / fused.sum({-1}, true).clamp_min_(std::numeric_limits<float>::min());
  return fused;
}

TokenMap zeros(const AttentionLayer& layer, const GridRect& support) {
  const auto options = layer.query.options().dtype(at::kFloat);
  return {.grid = layer.pattern.grid, .globals = at::zeros({layer.global_tokens()}, options), .support = support,
          .values = at::zeros({support.height, support.width}, options)};
}

}  // namespace

TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const HeadChoice& heads, RowSums sums) {
  const auto chosen = chosen_heads(layer, heads);
  const auto globals = layer.global_tokens();
  auto result = zeros(layer, within_reach(layer, r.support));
  for_each_block(chosen, r.support, [&](const AttentionBlock& block) {
    const auto weights = to_tiles(read(r.values, r.support, all_queries(block)), block.queries.width, block.queries.width);
    const auto part = at::bmm(weights.unsqueeze(1), fused_rows(block, heads, sums)).squeeze(1);   // [tiles, G + keys]
    result.globals.add_(part.narrow(1, 0, globals).sum(0));
    const auto keys = all_keys(block);
    const auto plane = at::col2im(part.narrow(1, globals, block.keys.area()).t().contiguous().unsqueeze(0), {keys.height, keys.width},
                                  {block.keys.height, block.keys.width}, {1, 1}, {0, 0}, {1, block.queries.width});
    const auto inside = intersection(keys, result.support);
    window_of(result.values, result.support, inside).add_(window_of(plane.squeeze(0).squeeze(0), keys, inside));
  });
  return result;
}

TokenMap attention_times(const AttentionLayer& layer, const TokenMap& c, const GridRect& rect, const HeadChoice& heads, RowSums sums) {
  const auto chosen = chosen_heads(layer, heads);
  auto result = zeros(layer, rect);
  for_each_block(chosen, rect, [&](const AttentionBlock& block) {
    const auto around = to_tiles(read(c.values, c.support, all_keys(block)), block.keys.width, block.queries.width);
    const auto column = at::cat({c.globals.unsqueeze(0).expand({block.tiles, -1}), around}, 1).unsqueeze(-1);
    const auto values = at::bmm(fused_rows(block, heads, sums), column).squeeze(-1);               // [tiles, queries]
    const auto inside = intersection(all_queries(block), rect);
    window_of(result.values, rect, inside).copy_(from_tiles(values, block, inside));
  });
  return result;
}

RowStatistics row_statistics(const AttentionLayer& layer, const GridRect& rect) {
  const auto plane = [&] { return at::zeros({layer.heads(), rect.height, rect.width}, layer.query.options().dtype(at::kFloat)); };
  RowStatistics result{.rect = rect, .lse = plane(), .entropy = plane(), .global_mass = plane(), .mean_distance = plane()};
  const auto globals = layer.global_tokens();
  for_each_block(layer, rect, [&](const AttentionBlock& block) {
    const auto inside = intersection(all_queries(block), rect);
    const auto put = [&](at::Tensor& target, const at::Tensor& values) {
      window_of(target, rect, inside).copy_(from_tiles(values, block, inside));
    };
    const auto& p = block.probabilities;
    const auto on_grid = p.narrow(-1, globals, block.keys.area());
    const auto [dy, dx] = block_offsets(block, p.options());
    const auto distance = at::hypot(dy.to(at::kFloat), dx.to(at::kFloat));
    const auto near = on_grid.sum({-1}, false, at::kDouble);
    const auto far = (on_grid * distance).sum({-1}, false, at::kDouble);
    put(result.lse, block.lse);
    put(result.entropy, at::xlogy(p, p).sum({-1}, false, at::kDouble).neg());
    put(result.global_mass, p.narrow(-1, 0, globals).sum({-1}, false, at::kDouble));
    put(result.mean_distance, at::where(near > 0, far / near, at::zeros_like(near)));
  });
  return result;
}

}  // namespace fovea::analysis::block_sweep
