#include <ATen/Parallel.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/attention/analysis/attention_products.h"
#include "core/attention/analysis/block_sweep.h"
#include "core/attention/analysis/rows.h"
#include "core/attention/analysis/statistics.h"
#include "core/attention/analysis/window_sweep.h"
#include "core/base/error.h"
#include "tests/analysis/dense_oracle.h"

namespace fovea::analysis {
namespace {

using namespace test;

// Sums of rows that are computed in float32, each weight rounded.
constexpr double kSumBound = 2e-6;

GridRect part_of(const AttentionLayer& layer) {
  return {layer.height() / 3, layer.width() / 4, (layer.height() + 2) / 3, (layer.width() + 1) / 2};
}

TEST(Comparator, SeesWhatIsWrong) {
  const auto one = at::ones({3}, at::kDouble);
  EXPECT_EQ(relative_error(one, one), 0);
  EXPECT_NEAR(relative_error(one * 1.5, one), 0.5, 1e-12);
  EXPECT_TRUE(std::isinf(relative_error(one * std::nan(""), one)));
  EXPECT_TRUE(std::isinf(relative_error(one, at::zeros({3}, at::kDouble))));
  EXPECT_TRUE(std::isinf(relative_error(one, at::ones({4}, at::kDouble))));
}

class AgainstDense : public ::testing::TestWithParam<OracleCase> {};

TEST_P(AgainstDense, RowsOfEveryCornerAndTheMiddle) {
  const auto layer = random_layer(GetParam(), 1);
  const std::vector<std::array<std::int64_t, 2>> places{
      {0, 0}, {0, layer.width() - 1}, {layer.height() - 1, 0}, {layer.height() / 2, layer.width() / 2}};
  const auto matrix = dense_attention_matrix(layer);
  for (const auto& heads : all_choices(layer)) {
    const auto expected = dense_fused(matrix, heads, RowSums::kAsFused);
    for (const auto& [y, x] : places) {
      const auto result = row(layer, token_map(layer, y, x), heads);
      const auto values = as_vector(result);
      EXPECT_LE(relative_error(values, expected[layer.global_tokens() + y * layer.width() + x]), kRelativeBound);
      if (heads.fusion == HeadFusion::kMax || heads.fusion == HeadFusion::kMin) continue;
      // Each value is rounded once to float32: the sum can be off by half an ulp of each.
      EXPECT_NEAR(values.sum().item<double>(), 1.0, std::numeric_limits<float>::epsilon() / 2);
    }
    for (std::int64_t g = 0; g < layer.global_tokens(); ++g) {
      const auto values = as_vector(row(layer, global_map(layer, g), heads));
      EXPECT_LE(relative_error(values, expected[g]), kRelativeBound);
      if (heads.fusion == HeadFusion::kMean || heads.fusion == HeadFusion::kOne) {
        EXPECT_NEAR(values.sum().item<double>(), 1.0, kSumBound);
      }
    }
  }
}

TEST_P(AgainstDense, RowOfABoxIsTheMeanOfItsRows) {
  const auto layer = random_layer(GetParam(), 2);
  const auto box = part_of(layer);
  const auto weights = as_vector(box_map(layer, box));
  const auto matrix = dense_attention_matrix(layer);
  for (const auto& heads : all_choices(layer)) {
    const auto expected = at::mv(dense_fused(matrix, heads, RowSums::kAsFused).t(), weights / weights.sum());
    const auto values = as_vector(row(layer, box_map(layer, box), heads));
    EXPECT_LE(relative_error(values, expected), kRelativeBound);
    if (heads.fusion == HeadFusion::kMean || heads.fusion == HeadFusion::kOne) {
      EXPECT_NEAR(values.sum().item<double>(), 1.0, kSumBound);
    }
  }
}

TEST_P(AgainstDense, RowOfAStrokeWithWeights) {
  const auto layer = random_layer(GetParam(), 12);
  const std::vector<WeightedToken> stroke{{0, 0, 1.0}, {layer.height() - 1, layer.width() / 2, 2.5}, {layer.height() / 2, 0, 0.5}, {0, 0, 1.0}};
  const auto weights = as_vector(brush_map(layer, stroke));
  EXPECT_NEAR(weights.sum().item<double>(), 5.0, 1e-12);
  const auto matrix = dense_attention_matrix(layer);
  for (const auto& heads : all_choices(layer)) {
    const auto fused = dense_fused(matrix, heads, RowSums::kAsFused);
    EXPECT_LE(relative_error(as_vector(row(layer, brush_map(layer, stroke), heads)), at::mv(fused.t(), weights / 5)), kRelativeBound);
    EXPECT_LE(relative_error(as_vector(column(layer, brush_map(layer, stroke), heads)), at::mv(fused, weights)), kRelativeBound);
  }
}

TEST_P(AgainstDense, Columns) {
  auto layer = random_layer(GetParam(), 3);
  const auto matrix = dense_attention_matrix(layer);
  for (const bool known_lse : {false, true}) {   // of the global queries
    if (known_lse) add_lse(layer);
    for (const auto& heads : all_choices(layer)) {
      const auto expected = dense_fused(matrix, heads, RowSums::kAsFused);
      const auto at_corner = column(layer, token_map(layer, layer.height() - 1, 0), heads);
      EXPECT_LE(relative_error(as_vector(at_corner), expected.select(1, layer.global_tokens() + (layer.height() - 1) * layer.width())),
                kRelativeBound);
      for (std::int64_t g = 0; g < layer.global_tokens(); g += 3) {
        EXPECT_LE(relative_error(as_vector(column(layer, global_map(layer, g), heads)), expected.select(1, g)), kRelativeBound);
      }
    }
  }
}

TEST_P(AgainstDense, ProductsWithAnyVector) {
  const auto layer = random_layer(GetParam(), 4);
  const auto map = random_map(layer, layer.grid_rect());
  const auto matrix = dense_attention_matrix(layer);
  for (const auto sums : {RowSums::kAsFused, RowSums::kOne}) {
    for (const auto& heads : all_choices(layer)) {
      const auto fused = dense_fused(matrix, heads, sums);
      if (!fused.isfinite().all().item<bool>()) continue;   // minimum of heads that share no key at all
      EXPECT_LE(relative_error(as_vector(times_attention(map, layer, heads, sums)), at::mv(fused.t(), as_vector(map))), kRelativeBound);
      EXPECT_LE(relative_error(as_vector(attention_times(layer, map, heads, sums)), at::mv(fused, as_vector(map))), kRelativeBound);
    }
  }
}

TEST_P(AgainstDense, BlocksInTorchSayTheSame) {   // what GPUs run
  const auto layer = random_layer(GetParam(), 5);
  auto map = random_map(layer, layer.grid_rect());
  map.globals.zero_();
  const auto grid = [&](const at::Tensor& values) { return values.narrow(0, layer.global_tokens(), layer.height() * layer.width()); };
  const auto matrix = dense_attention_matrix(layer);
  for (const auto& heads : all_choices(layer)) {
    const auto sums = heads.fusion == HeadFusion::kMax ? RowSums::kAsFused : RowSums::kOne;
    const auto fused = dense_fused(matrix, heads, sums);
    if (!fused.isfinite().all().item<bool>()) continue;
    const auto left = as_vector(block_sweep::times_attention(map, layer, heads, sums));
    EXPECT_LE(relative_error(left, at::mv(fused.t(), as_vector(map))), kRelativeBound);
    const auto right = as_vector(block_sweep::attention_times(layer, map, layer.grid_rect(), heads, sums));
    EXPECT_LE(relative_error(grid(right), grid(at::mv(fused, as_vector(map)))), kRelativeBound);
  }
}

// Statistics of the rows written out: [heads, N] each.
struct DenseStatistics { at::Tensor entropy, global_mass, mean_distance; };
DenseStatistics dense_statistics(const AttentionLayer& layer) {
  const auto a = dense_attention_matrix(layer);
  const auto globals = layer.global_tokens(), cells = layer.height() * layer.width();
  const auto place = at::arange(cells, at::kLong);
  const auto y = at::floor_divide(place, layer.width()), x = place.remainder(layer.width());
  const auto distance = at::hypot((y.unsqueeze(0) - y.unsqueeze(1)).to(at::kDouble), (x.unsqueeze(0) - x.unsqueeze(1)).to(at::kDouble));
  const auto on_grid = a.narrow(1, globals, cells).narrow(2, globals, cells);
  return {at::xlogy(a, a).sum(-1).neg(), a.narrow(2, 0, globals).sum(-1), (on_grid * distance).sum(-1) / on_grid.sum(-1)};
}

TEST_P(AgainstDense, Statistics) {
  const auto layer = random_layer(GetParam(), 6);
  const auto expected = dense_statistics(layer);
  const auto globals = layer.global_tokens();
  const auto whole = row_statistics(layer, layer.grid_rect());
  const auto in_blocks = block_sweep::row_statistics(layer, layer.grid_rect());
  for (const auto& result : {whole, in_blocks}) {
    const auto on_grid = [&](const at::Tensor& values) { return values.narrow(1, globals, layer.height() * layer.width()); };
    // An entropy of a few nats is a difference of logarithms of rounded numbers: bounded in nats where it is small.
    const auto entropy_error =
        (result.entropy.flatten(1).to(at::kDouble) - on_grid(expected.entropy)).abs() / on_grid(expected.entropy).clamp_min(0.1);
    EXPECT_LE(entropy_error.max().item<double>(), kRelativeBound);
    EXPECT_LE(relative_error(result.global_mass.flatten(1), on_grid(expected.global_mass)), kRelativeBound);
    EXPECT_LE(relative_error(result.mean_distance.flatten(1), expected.mean_distance), kRelativeBound);
  }
  if (globals == 0) return;
  EXPECT_LE(relative_error(whole.global_query_entropy, expected.entropy.narrow(1, 0, globals)), kRelativeBound);
  EXPECT_LE(relative_error(whole.global_query_global_mass, expected.global_mass.narrow(1, 0, globals)), kRelativeBound);
}

TEST_P(AgainstDense, KeyCounts) {
  const auto layer = random_layer(GetParam(), 6);
  const auto cells = layer.height() * layer.width();
  const auto counts = (dense_attention_matrix(layer) > 0).sum(-1).narrow(1, layer.global_tokens(), cells);
  EXPECT_TRUE(at::equal(key_counts(layer, layer.grid_rect()).flatten(1).to(at::kLong), counts));
}

TEST(Statistics, NormalisedEntropyIsOneWhereAllKeysAreAlike) {
  auto layer = random_layer({.height = 9, .width = 11, .globals = 2, .heads = 2, .window = {5, 3}}, 1);
  layer.query = at::zeros_like(layer.query);
  const auto entropy = normalised_entropy(layer, row_statistics(layer, layer.grid_rect()));
  EXPECT_LE(relative_error(entropy, at::ones({2, 9, 11}, at::kDouble)), kRelativeBound);
  EXPECT_DOUBLE_EQ(distance_bound(layer, 0), std::hypot(2, 1));
}

TEST_P(AgainstDense, StatisticsOfARegionAreThoseOfTheWhole) {
  const auto layer = random_layer(GetParam(), 7);
  const auto rect = part_of(layer);
  const auto whole = row_statistics(layer, layer.grid_rect()), part = row_statistics(layer, rect);
  const auto cut = [&](const at::Tensor& plane) { return plane.narrow(1, rect.y, rect.height).narrow(2, rect.x, rect.width); };
  EXPECT_LE(relative_error(part.lse, cut(whole.lse)), kRelativeBound);
  EXPECT_LE(relative_error(part.global_mass, cut(whole.global_mass)), kRelativeBound);
}

TEST_P(AgainstDense, NormWeightedRows) {
  const auto layer = random_layer(GetParam(), 8);
  const auto values = at::randn(layer.key.sizes(), at::kFloat);
  const auto output = at::randn({24, layer.heads() * layer.head_dim()}, at::kFloat);
  const auto a = dense_attention_matrix(layer).select(1, layer.tokens() - 1);                      // [heads, N], the last token's rows
  const auto read = a.t().unsqueeze(-1) * values.to(at::kDouble);                                  // [N, heads, D]
  const auto expected = at::linalg_vector_norm(at::matmul(read.flatten(1), output.to(at::kDouble).t()), 2, {1});
  const auto last = token_map(layer, layer.height() - 1, layer.width() - 1);
  EXPECT_LE(relative_error(as_vector(norm_weighted_row(layer, last, {}, values, output)), expected), kRelativeBound);
  const auto head =
      at::linalg_vector_norm(at::matmul(read.select(1, 0), output.to(at::kDouble).narrow(1, 0, layer.head_dim()).t()), 2, {1});
  EXPECT_LE(relative_error(as_vector(norm_weighted_row(layer, last, {HeadFusion::kOne, 0}, values, output)), head), kRelativeBound);
  const auto box = part_of(layer);   // of several tokens: the norms of what their mean row reads
  const auto weights = as_vector(box_map(layer, box));
  const auto mean = at::matmul(dense_attention_matrix(layer).transpose(1, 2), weights / weights.sum());   // [heads, N]
  const auto of_box = at::linalg_vector_norm(
      at::matmul((mean.t().unsqueeze(-1) * values.to(at::kDouble)).flatten(1), output.to(at::kDouble).t()), 2, {1});
  EXPECT_LE(relative_error(as_vector(norm_weighted_row(layer, box_map(layer, box), {}, values, output)), of_box), kRelativeBound);
}

TEST_P(AgainstDense, HalfPrecisionKeysAreReadExactly) {   // a bfloat16 layer is the float32 layer of its rounded numbers
  auto layer = random_layer(GetParam(), 9, at::kBFloat16);
  const auto map = random_map(layer, layer.grid_rect());
  auto widened = layer;
  widened.query = layer.query.to(at::kFloat), widened.key = layer.key.to(at::kFloat);
  EXPECT_TRUE(
      at::equal(as_vector(times_attention(map, layer, {}, RowSums::kOne)), as_vector(times_attention(map, widened, {}, RowSums::kOne))));
}

INSTANTIATE_TEST_SUITE_P(Shapes, AgainstDense, ::testing::ValuesIn(oracle_cases()));

TEST(TokenMaps, OutsideIsOneSentence) {
  const auto layer = random_layer({.height = 4, .width = 6, .globals = 1}, 1);
  const auto message = [](auto action) -> std::string {
    try { action(); } catch (const Error& error) { return error.kind() == ErrorKind::kUsage ? error.what() : "wrong kind"; }
    return "no error";
  };
  EXPECT_EQ(message([&] { token_map(layer, 4, 2); }), "token (2, 4) lies outside the grid of 6 x 4 tokens");
  EXPECT_EQ(message([&] { box_map(layer, {0, 0, 5, 1}); }), "token (0, 4) lies outside the grid of 6 x 4 tokens");
  EXPECT_EQ(message([&] { box_map(layer, {0, 0, 0, 1}); }), "the box holds no token");
  EXPECT_EQ(message([&] { global_map(layer, 1); }), "global token 1 does not exist: the model has 1");
  EXPECT_EQ(message([&] {
              row(layer, token_map(layer, 0, 0), {HeadFusion::kOne, 1});
            }),
            "head 1 does not exist: the layer has heads 0 to 0");
}

TEST(Products, DoNotDependOnThreads) {
  const auto layer = random_layer({.height = 40, .width = 70, .globals = 2, .heads = 2, .window = {9, 9}}, 3);
  const auto map = box_map(layer, layer.grid_rect());
  const auto threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto alone = as_vector(times_attention(map, layer, {}, RowSums::kOne));
  at::set_num_threads(3);
  const auto together = as_vector(times_attention(map, layer, {}, RowSums::kOne));
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(alone, together));
}

}  // namespace
}  // namespace fovea::analysis
