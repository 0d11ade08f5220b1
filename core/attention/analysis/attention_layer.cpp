#include "core/attention/analysis/attention_layer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "core/attention/analysis/cuda_products.h"
#include "core/attention/analysis/global_rows.h"
#include "core/base/error.h"

namespace fovea::analysis {
namespace {

std::string grid_text(const AttentionLayer& layer) {
  return "the grid of " + std::to_string(layer.width()) + " x " + std::to_string(layer.height()) + " tokens";
}

TokenMap empty_map(const AttentionLayer& layer, const GridRect& support) {
  const auto options = layer.query.options().dtype(at::kFloat);
  return {.grid = layer.pattern.grid, .globals = at::zeros({layer.global_tokens()}, options), .support = support,
          .values = at::zeros({support.height, support.width}, options)};
}

void check_inside(const AttentionLayer& layer, std::int64_t y, std::int64_t x) {
  if (y >= 0 && x >= 0 && y < layer.height() && x < layer.width()) return;
  throw Error(ErrorKind::kUsage, "token (" + std::to_string(x) + ", " + std::to_string(y) + ") lies outside " + grid_text(layer));
}

}  // namespace

double AttentionLayer::softmax_scale() const { return scale > 0 ? scale : 1.0 / std::sqrt(static_cast<double>(head_dim())); }

std::int64_t AttentionLayer::dilation(std::int64_t head) const {
  return pattern.dilation.size() == 1 ? pattern.dilation.front() : pattern.dilation.at(static_cast<std::size_t>(head));
}

bool AttentionLayer::dense() const {
  const bool undilated = std::all_of(pattern.dilation.begin(), pattern.dilation.end(), [](auto d) { return d == 1; });
  return undilated && (pattern.window[0] - 1) / 2 >= height() - 1 && (pattern.window[1] - 1) / 2 >= width() - 1;
}

AttentionPattern dense_pattern(std::array<std::int64_t, 2> grid, std::int64_t global_tokens) {
  return {.grid = grid, .global_tokens = global_tokens, .window = {2 * grid[0] - 1, 2 * grid[1] - 1}, .dilation = {1}};
}

void check_layer(const AttentionLayer& layer) {
  const auto& pattern = layer.pattern;
  require(layer.query.defined() && layer.query.dim() == 3 && layer.query.sizes() == layer.key.sizes(),
          "query and key must be [N, heads, D] alike");
  require(layer.query.scalar_type() == layer.key.scalar_type() && layer.query.device() == layer.key.device(),
          "query and key must agree in dtype and device");
  require(layer.query.scalar_type() == at::kFloat || layer.query.scalar_type() == at::kBFloat16 || layer.query.scalar_type() == at::kHalf,
          "query and key must be float32, bfloat16 or float16");
  require(layer.query.size(0) == layer.tokens() && layer.height() > 0 && layer.width() > 0, "query must hold the tokens of its pattern");
  require(layer.query.stride(2) == 1 && layer.key.stride(2) == 1, "the channels of a head must be contiguous");
  require(pattern.window[0] % 2 == 1 && pattern.window[1] % 2 == 1, "windows must be odd");
  require(pattern.dilation.size() == 1 || static_cast<std::int64_t>(pattern.dilation.size()) == layer.heads(),
          "one dilation, or one a head");
  require(std::all_of(pattern.dilation.begin(), pattern.dilation.end(), [](auto d) { return d >= 1; }), "dilations must be at least 1");
  require(
      !layer.lse.defined() || (layer.lse.dim() == 2 && layer.lse.size(0) == layer.heads() && layer.lse.size(1) >= layer.global_tokens()),
      "lse must be [heads, at least G]");
}

void add_lse(AttentionLayer& layer) {
  if (layer.lse.defined()) return;
  if (cuda_products::runs(layer, {})) {
    layer.lse = cuda_products::row_lse(layer);
  } else if (layer.global_tokens() > 0) {
    layer.lse = global_lse(layer);
  }
}

at::Tensor TokenMap::dense() const {
  auto whole = at::zeros({grid[0], grid[1]}, values.options());
  whole.narrow(0, support.y, support.height).narrow(1, support.x, support.width).copy_(values);
  return whole;
}

double TokenMap::grid_total() const { return values.sum(at::kDouble).item<double>(); }
double TokenMap::global_total() const { return globals.sum(at::kDouble).item<double>(); }

TokenMap token_map(const AttentionLayer& layer, std::int64_t y, std::int64_t x) { return brush_map(layer, {{y, x, 1.0}}); }

TokenMap box_map(const AttentionLayer& layer, const GridRect& box) {
  if (box.empty()) throw Error(ErrorKind::kUsage, "the box holds no token");
  check_inside(layer, box.y, box.x);
  check_inside(layer, box.y + box.height - 1, box.x + box.width - 1);
  auto map = empty_map(layer, box);
  map.values.fill_(1);
  return map;
}

TokenMap brush_map(const AttentionLayer& layer, const std::vector<WeightedToken>& brush) {
  if (brush.empty()) throw Error(ErrorKind::kUsage, "the brush touches no token");
  std::int64_t top = brush[0].y, left = brush[0].x, bottom = top, right = left;
  for (const auto& token : brush) {
    check_inside(layer, token.y, token.x);
    if (!(token.weight > 0) || !std::isfinite(token.weight)) throw Error(ErrorKind::kUsage, "weights of tokens must be positive");
    top = std::min(top, token.y), bottom = std::max(bottom, token.y);
    left = std::min(left, token.x), right = std::max(right, token.x);
  }
  auto weights = at::zeros({bottom - top + 1, right - left + 1}, at::kFloat);
  auto cells = weights.accessor<float, 2>();
  for (const auto& token : brush) cells[token.y - top][token.x - left] += static_cast<float>(token.weight);
  auto map = empty_map(layer, {top, left, bottom - top + 1, right - left + 1});
  map.values.copy_(weights);
  return map;
}

TokenMap global_map(const AttentionLayer& layer, std::int64_t global_token) {
  if (global_token < 0 || global_token >= layer.global_tokens()) {
    throw Error(ErrorKind::kUsage, "global token " + std::to_string(global_token) + " does not exist: the model has " +
                                       std::to_string(layer.global_tokens()));
  }
  auto map = empty_map(layer, {0, 0, 0, 0});
  map.globals[global_token] = 1;
  return map;
}

void check_head(const AttentionLayer& layer, const HeadChoice& heads) {
  if (heads.fusion == HeadFusion::kOne && (heads.head < 0 || heads.head >= layer.heads())) {
    throw Error(ErrorKind::kUsage, "head " + std::to_string(heads.head) + " does not exist: the layer has heads 0 to " +
                                       std::to_string(layer.heads() - 1));
  }
}

}  // namespace fovea::analysis
