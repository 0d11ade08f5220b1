#include "core/attention/analysis/kept_mass.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/attention/analysis/attention_blocks.h"
#include "core/base/error.h"

namespace fovea::analysis {
namespace {

// Calls visit(y, rows [heads, n, W, G + H * W]) for bands of n grid rows of queries; probabilities of the layer's own pattern.
void for_each_band(const AttentionLayer& layer, const std::function<void(std::int64_t, const at::Tensor&)>& visit) {
  auto dense = layer;
  dense.pattern = dense_pattern(layer.pattern.grid, layer.global_tokens());
  const auto globals = layer.global_tokens();
  const auto rows_at_once = std::max<std::int64_t>(1, (std::int64_t{1} << 24) / (layer.heads() * layer.width() * layer.tokens()));
  for (std::int64_t y = 0; y < layer.height(); y += rows_at_once) {
    const GridRect band{y, 0, std::min(rows_at_once, layer.height() - y), layer.width()};
    auto rows = at::empty({layer.heads(), band.height, layer.width(), layer.tokens()}, layer.query.options().dtype(at::kFloat));
    for_each_block(dense, band, [&](const AttentionBlock& block) {
      auto p = block.probabilities[0];
      if (!layer.dense()) {   // the pattern's row is the dense one, cut and scaled up
        const auto [dy, dx] = block_offsets(block, p.options());
        p = p.clone();
        for (std::int64_t head = 0; head < layer.heads(); ++head) {
          const auto step = layer.dilation(head);
          const auto inside = (dy.remainder(step) == 0)
                                  .logical_and(dx.remainder(step) == 0)
                                  .logical_and(dy.abs() <= step * (layer.pattern.window[0] / 2))
                                  .logical_and(dx.abs() <= step * (layer.pattern.window[1] / 2));
          p[head].narrow(1, globals, block.keys.area()).mul_(inside);
        }
        p.div_(p.sum({-1}, true, at::kDouble).to(at::kFloat));
      }
      rows.narrow(1, block.queries.y - y, block.queries.height).narrow(2, block.queries.x, block.queries.width)
          .copy_(p.unflatten(1, {block.queries.height, block.queries.width}));
    });
    visit(y, rows);
  }
}

}  // namespace

at::Tensor KeptMass::at(std::int64_t radius, std::int64_t global_tokens) const {
  require(radius >= 0 && global_tokens >= 0 && global_tokens <= globals.size(-1), "KeptMass: radius and globals must exist");
  const auto inside = window.select(-1, std::min(radius, window.size(-1) - 1));
  return (inside + globals.narrow(-1, 0, global_tokens).sum(-1)).clamp_max(1.0);   // rounding may exceed 1 by an ulp
}

at::Tensor KeptMass::curve() const {
  return (window.to(at::kDouble) + globals.sum({-1}, true, at::kDouble)).mean(at::IntArrayRef{1, 2});
}

KeptMass kept_mass(const AttentionLayer& layer, std::int64_t dilation) {
  check_layer(layer);
  require(dilation >= 1, "kept_mass: the dilation must be at least 1");
  auto dense = layer;
  dense.pattern = dense_pattern(layer.pattern.grid, layer.global_tokens());
  const auto globals = layer.global_tokens();
  const auto radii = (std::max(layer.height(), layer.width()) - 1) / dilation + 1;
  const auto options = layer.query.options().dtype(at::kFloat);
  KeptMass result{.window = at::zeros({layer.heads(), layer.height(), layer.width(), radii}, options),
                  .globals = at::zeros({layer.heads(), layer.height(), layer.width(), globals}, options), .dilation = dilation};
  for_each_block(dense, layer.grid_rect(), [&](const AttentionBlock& block) {
    const auto& [dy, dx] = block_offsets(block, options);
    const auto seen = (dy.remainder(dilation) == 0).logical_and(dx.remainder(dilation) == 0);
    const auto ring = at::where(seen, at::floor_divide(at::maximum(dy.abs(), dx.abs()), dilation), radii);   // one bin more for the unseen
    const auto p = block.probabilities[0];
    const auto on_grid = p.narrow(2, globals, block.keys.area()).to(at::kDouble);
    auto rings = at::zeros({layer.heads(), block.queries.area(), radii + 1}, options.dtype(at::kDouble));
    rings.scatter_add_(2, ring.unsqueeze(0).expand_as(on_grid), on_grid);
    const auto place = [&](at::Tensor& target, const at::Tensor& values) {
      target.narrow(1, block.queries.y, block.queries.height).narrow(2, block.queries.x, block.queries.width)
          .copy_(values.unflatten(1, {block.queries.height, block.queries.width}));
    };
    place(result.window, rings.narrow(2, 0, radii).cumsum(2));
    place(result.globals, p.narrow(2, 0, globals));
  });
  return result;
}

at::Tensor total_variation_of_kept(const at::Tensor& kept) { return 1 - kept; }

at::Tensor jensen_shannon_of_kept(const at::Tensor& kept) {
  const auto m = kept.to(at::kDouble);
  const auto divergence = at::xlogy(m, 2 * m / (1 + m)) + (1 - m) * std::numbers::ln2 + at::log(2 / (1 + m));
  return (divergence / 2).clamp_min(0).to(at::kFloat);
}

RowDistances compare_rows(const AttentionLayer& a, const AttentionLayer& b) {
  check_layer(a);
  check_layer(b);
  require(a.pattern.grid == b.pattern.grid && a.global_tokens() == b.global_tokens() && a.heads() == b.heads(),
          "compare_rows: two layers of one grid");
  std::vector<at::Tensor> total_variation, jensen_shannon;
  std::vector<at::Tensor> rows_of_a;
  // Bands are the same for both: they depend on the grid alone.
  for_each_band(a, [&](std::int64_t, const at::Tensor& rows) { rows_of_a.push_back(rows); });
  std::size_t band = 0;
  for_each_band(b, [&](std::int64_t, const at::Tensor& rows) {
    const auto p = rows_of_a.at(band++).to(at::kDouble), q = rows.to(at::kDouble);
    const auto middle = (p + q) / 2;
    total_variation.push_back(((p - q).abs().sum(-1) / 2).to(at::kFloat));
    jensen_shannon.push_back(
        ((at::xlogy(p, p) + at::xlogy(q, q)).sum(-1) / 2 - at::xlogy(middle, middle).sum(-1)).clamp_min(0).to(at::kFloat));
  });
  return {at::cat(total_variation, 1), at::cat(jensen_shannon, 1)};
}

}  // namespace fovea::analysis
