#include "tests/analysis/dense_oracle.h"

#include <limits>

namespace fovea::analysis::test {

std::string OracleCase::name() const {
  std::string text = std::to_string(height) + "x" + std::to_string(width) + " G " + std::to_string(globals) + " heads " +
                     std::to_string(heads) + " window " + std::to_string(window[0]) + "x" + std::to_string(window[1]) +
                     (dense ? " dense" : "") + " dilation";
  for (const auto d : dilation) text += " " + std::to_string(d);
  return text;
}

std::vector<OracleCase> oracle_cases() {
  std::vector<OracleCase> cases{
      {.height = 1, .width = 1, .globals = 0},
      {.height = 1, .width = 24, .globals = 1, .heads = 2, .window = {1, 7}},
      {.height = 7, .width = 5, .globals = 0, .heads = 3, .window = {3, 9}},
      {.height = 24, .width = 24, .globals = 8, .heads = 6, .head_dim = 64, .window = {17, 17}},
      {.height = 24, .width = 23, .globals = 0, .heads = 6, .head_dim = 64, .window = {9, 5}},
      {.height = 19, .width = 24, .globals = 1, .heads = 4, .window = {5, 7}, .dilation = {2}},
      {.height = 24, .width = 17, .globals = 8, .heads = 2, .window = {3, 5}, .dilation = {3}},
      {.height = 13, .width = 18, .globals = 0, .heads = 3, .window = {5, 5}, .dilation = {1, 2, 3}},
      {.height = 17, .width = 16, .globals = 8, .heads = 5, .head_dim = 20, .window = {7, 3}, .dilation = {3, 1, 2, 1, 2}},
      {.height = 6, .width = 9, .globals = 1, .heads = 2, .window = {31, 31}},
      {.height = 11, .width = 12, .globals = 1, .heads = 3, .dense = true},
      {.height = 9, .width = 20, .globals = 0, .heads = 1, .dense = true},
  };
  for (const std::int64_t globals : {0, 1, 8}) {   // every number of globals with every dilation
    for (const std::int64_t dilation : {1, 2, 3}) {
      cases.push_back({.height = 24, .width = 21 + dilation, .globals = globals, .heads = 1 + (2 * globals + dilation) % 6,
                       .window = {5, 7}, .dilation = {dilation}});
    }
  }
  return cases;
}

AttentionLayer random_layer(const OracleCase& shape, std::int64_t seed, at::ScalarType dtype) {
  at::manual_seed(static_cast<std::uint64_t>(seed));
  AttentionLayer layer;
  layer.pattern =
      shape.dense
          ? dense_pattern({shape.height, shape.width}, shape.globals)
          : AttentionPattern{
                .grid = {shape.height, shape.width}, .global_tokens = shape.globals, .window = shape.window, .dilation = shape.dilation};
  const auto packed =
      (at::randn({layer.tokens(), 2, shape.heads, shape.head_dim}, at::kFloat) * 1.5).to(dtype);  // strides as in a packed qkv
  layer.query = packed.select(1, 0);
  layer.key = packed.select(1, 1);
  return layer;
}

at::Tensor dense_attention_matrix(const AttentionLayer& layer) {
  const auto globals = layer.global_tokens(), tokens = layer.tokens(), width = layer.width();
  auto scores =
      at::matmul(layer.query.to(at::kDouble).transpose(0, 1), layer.key.to(at::kDouble).permute({1, 2, 0})) * layer.softmax_scale();
  std::vector<std::int64_t> y, x;
  for (std::int64_t cell = 0; cell < tokens - globals; ++cell) y.push_back(cell / width), x.push_back(cell % width);
  for (std::int64_t head = 0; head < layer.heads(); ++head) {
    const auto step = layer.dilation(head), radius_y = layer.pattern.window[0] / 2, radius_x = layer.pattern.window[1] / 2;
    const auto plane = scores[head];
    auto cells = plane.accessor<double, 2>();
    for (std::size_t query = 0; query < y.size(); ++query) {
      for (std::size_t key = 0; key < y.size(); ++key) {
        const auto dy = std::abs(y[key] - y[query]), dx = std::abs(x[key] - x[query]);
        const bool sees = dy <= step * radius_y && dx <= step * radius_x && dy % step == 0 && dx % step == 0;
        if (!sees)
          cells[globals + static_cast<std::int64_t>(query)][globals + static_cast<std::int64_t>(key)] =
              -std::numeric_limits<double>::infinity();
      }
    }
  }
  return at::softmax(scores, -1);
}

at::Tensor dense_fused(const at::Tensor& matrix, const HeadChoice& heads, RowSums sums) {
  const auto fused = fuse_heads(matrix, heads, 0);
  return sums == RowSums::kOne ? fused / fused.sum({1}, true) : fused;
}

at::Tensor as_vector(const TokenMap& map) { return at::cat({map.globals, map.dense().flatten()}).to(at::kDouble); }

double relative_error(const at::Tensor& value, const at::Tensor& expected) {
  const auto a = value.to(at::kDouble), b = expected.to(at::kDouble);
  if (!a.isfinite().all().item<bool>() || a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  if (a.numel() == 0) return 0;
  const auto error = at::where(a == b, at::zeros_like(a), (a - b).abs() / b.abs());   // x / 0 is infinity
  return error.max().item<double>();
}

TokenMap random_map(const AttentionLayer& layer, const GridRect& rect) {
  auto map = box_map(layer, rect);
  map.values = at::rand_like(map.values);
  map.globals = at::rand_like(map.globals);
  return map;
}

std::vector<HeadChoice> all_choices(const AttentionLayer& layer) {
  return {{HeadFusion::kMean, 0}, {HeadFusion::kMax, 0}, {HeadFusion::kMin, 0}, {HeadFusion::kOne, layer.heads() - 1}};
}

}  // namespace fovea::analysis::test
