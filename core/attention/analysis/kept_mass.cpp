#include "core/attention/analysis/kept_mass.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/attention/analysis/attention_blocks.h"
#include "core/base/error.h"

namespace fovea::analysis {
namespace {

// Which keys of a block its queries see in a head: bool [queries, keys].
at::Tensor inside_window(const AttentionLayer& layer, std::int64_t head, const BlockOffsets& offsets) {
  const auto step = layer.dilation(head);
  const auto near = [&](const at::Tensor& d, std::size_t axis) {
    return (d.remainder(step) == 0).logical_and(d.abs() <= step * (layer.pattern.window[axis] / 2));
  };
  return near(offsets.dy, 0).logical_and(near(offsets.dx, 1));
}

// Rows of a band of queries by the layer's own pattern, [heads, band.height, band.width, G + H * W] float64: the dense rows, cut and scaled
// up, so that rows of two patterns on the same queries and keys differ by nothing else.
at::Tensor rows_of(const AttentionLayer& layer, const GridRect& band) {
  auto dense = layer;
  dense.pattern = dense_pattern(layer.pattern.grid, layer.global_tokens());
  auto rows = at::empty({layer.heads(), band.height, band.width, layer.tokens()}, layer.query.options().dtype(at::kDouble));
  for_each_block(dense, band, [&](const AttentionBlock& block) {
    auto p = block.probabilities[0].to(at::kDouble);
    for (std::int64_t head = 0; head < layer.heads() && !layer.dense(); ++head) {
      const auto inside = inside_window(layer, head, block_offsets(block, p.options()));
      p[head].narrow(1, layer.global_tokens(), block.keys.area()).mul_(inside);
    }
    p.div_(p.sum({-1}, true));
    rows.narrow(1, block.queries.y - band.y, block.queries.height).narrow(2, block.queries.x, block.queries.width)
        .copy_(p.unflatten(1, {block.queries.height, block.queries.width}));
  });
  return rows;
}

}  // namespace

at::Tensor KeptMass::at(std::int64_t radius, std::int64_t global_tokens) const {
  require(radius >= 0 && global_tokens >= 0 && global_tokens <= globals.size(-1), "KeptMass: radius and globals must exist");
  const auto inside = rings.narrow(-1, 0, std::min(radius + 1, radii())).sum({-1}, false, at::kDouble);
  const auto mass = inside + globals.narrow(-1, 0, global_tokens).sum({-1}, false, at::kDouble);
  return mass.clamp_max(1.0).to(at::kFloat);   // rounding may exceed 1 by an ulp
}

at::Tensor KeptMass::lost(std::int64_t radius, std::int64_t global_tokens) const {
  require(radius >= 0 && global_tokens >= 0 && global_tokens <= globals.size(-1), "KeptMass: radius and globals must exist");
  const auto first = std::min(radius + 1, radii());
  const auto outside = rings.narrow(-1, first, rings.size(-1) - first).sum({-1}, false, at::kDouble);
  return (outside + globals.narrow(-1, global_tokens, globals.size(-1) - global_tokens).sum({-1}, false, at::kDouble)).to(at::kFloat);
}

at::Tensor KeptMass::curve() const {
  const auto means = rings.narrow(-1, 0, radii()).mean(at::IntArrayRef{1, 2}, false, at::kDouble);
  return means.cumsum(-1) + globals.sum({-1}, false, at::kDouble).mean(at::IntArrayRef{1, 2}).unsqueeze(-1);
}

KeptMass kept_mass(const AttentionLayer& layer, std::int64_t dilation) {
  check_layer(layer);
  require(dilation >= 1, "kept_mass: the dilation must be at least 1");
  auto dense = layer;
  dense.pattern = dense_pattern(layer.pattern.grid, layer.global_tokens());
  const auto globals = layer.global_tokens();
  const auto radii = (std::max(layer.height(), layer.width()) - 1) / dilation + 1;
  const auto options = layer.query.options().dtype(at::kFloat);
  KeptMass result{.rings = at::zeros({layer.heads(), layer.height(), layer.width(), radii + 1}, options),
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
    place(result.rings, rings);
    place(result.globals, p.narrow(2, 0, globals));
  });
  return result;
}

// In l, so that nothing cancels where little is lost: 2m / (1 + m) = (1 - l) / (1 - l / 2) and 2 / (1 + m) = 1 / (1 - l / 2).
at::Tensor jensen_shannon_of_lost(const at::Tensor& lost) {
  const auto l = lost.to(at::kDouble).clamp(0, 1), half = at::log1p(-l / 2);
  const auto kept = at::where(l < 1, (1 - l) * (at::log1p(-l.clamp_max(1 - 1e-15)) - half), at::zeros_like(l));
  return ((kept + l * std::numbers::ln2 - half) / 2).to(at::kFloat);
}

RowDistances compare_rows(const AttentionLayer& a, const AttentionLayer& b) {
  check_layer(a);
  check_layer(b);
  require(a.pattern.grid == b.pattern.grid && a.global_tokens() == b.global_tokens() && a.heads() == b.heads(),
          "compare_rows: two layers of one grid");
  std::vector<at::Tensor> total_variation, jensen_shannon;
  const auto rows_at_once = std::max<std::int64_t>(1, (std::int64_t{1} << 23) / (a.heads() * a.width() * a.tokens()));
  for (std::int64_t y = 0; y < a.height(); y += rows_at_once) {
    const GridRect band{y, 0, std::min(rows_at_once, a.height() - y), a.width()};
    const auto p = rows_of(a, band), q = rows_of(b, band), middle = (p + q) / 2;
    total_variation.push_back(((p - q).abs().sum(-1) / 2).to(at::kFloat));
    jensen_shannon.push_back(
        ((at::xlogy(p, p) + at::xlogy(q, q)).sum(-1) / 2 - at::xlogy(middle, middle).sum(-1)).clamp_min(0).to(at::kFloat));
  }
  return {at::cat(total_variation, 1), at::cat(jensen_shannon, 1)};
}

}  // namespace fovea::analysis
