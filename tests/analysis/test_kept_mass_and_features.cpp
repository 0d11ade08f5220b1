#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "core/attention/analysis/features.h"
#include "core/attention/analysis/kept_mass.h"
#include "tests/analysis/dense_oracle.h"

namespace fovea::analysis {
namespace {

using namespace test;

// What a pattern keeps and loses of the dense matrix, key by key: its own non-zero entries tell where it looks.
struct KeptAndLost { at::Tensor kept, lost; };
KeptAndLost by_pattern(const at::Tensor& dense, const AttentionLayer& sparse) {
  const auto looks = dense_attention_matrix(sparse) > 0;
  const auto of_grid = [&](const at::Tensor& values) { return values.sum(-1).narrow(1, sparse.global_tokens(), values.size(1) - sparse.global_tokens()); };
  return {of_grid(dense * looks), of_grid(dense * looks.logical_not())};
}

// Straight from the definitions, for rows written out.
struct DenseDistances { at::Tensor variation, divergence; };
DenseDistances distances(const at::Tensor& p, const at::Tensor& q) {
  const auto m = (p + q) / 2;
  const auto from_middle = [&](const at::Tensor& rows) { return (at::xlogy(rows, rows / m.clamp_min(1e-300))).sum(-1); };
  return {(p - q).abs().sum(-1) / 2, (from_middle(p) + from_middle(q)) / 2};
}

// Differences of rows that are nearly alike vanish: relative above this, absolute below.
constexpr double kSmallestDistance = 1e-4;
double distance_error(const at::Tensor& value, const at::Tensor& expected) {
  return ((value.to(at::kDouble) - expected).abs() / expected.clamp_min(kSmallestDistance)).max().item<double>();
}

class KeptMassAgainstDense : public ::testing::TestWithParam<OracleCase> {
 protected:
  // The case's queries and keys; its own pattern is one of those compared with.
  AttentionLayer layer_ = random_layer(GetParam(), 1);
  AttentionLayer dense() const { return with({.dense = true}); }
  struct Cut { std::int64_t window = 1, dilation = 1; bool dense = false; };
  AttentionLayer with(const Cut& cut) const {
    auto layer = layer_;
    layer.pattern = cut.dense ? dense_pattern(layer_.pattern.grid, layer_.global_tokens())
                              : AttentionPattern{.grid = layer_.pattern.grid, .global_tokens = layer_.global_tokens(),
                                                 .window = {cut.window, cut.window}, .dilation = {cut.dilation}};
    return layer;
  }
};

TEST_P(KeptMassAgainstDense, EveryWindowAndDilationInOnePass) {
  const auto matrix = dense_attention_matrix(dense());
  for (const std::int64_t dilation : {1, 2, 3}) {
    const auto kept = kept_mass(layer_, dilation);
    const auto globals = layer_.global_tokens();
    const auto curve = kept.curve();
    for (std::int64_t radius = 0; radius < kept.radii(); radius += radius < 2 ? 1 : 7) {
      const auto expected = by_pattern(matrix, with({.window = 2 * radius + 1, .dilation = dilation}));
      EXPECT_LE(relative_error(kept.at(radius, globals).flatten(1), expected.kept), kRelativeBound) << dilation << " " << radius;
      EXPECT_LE(relative_error(kept.lost(radius, globals).flatten(1), expected.lost), kRelativeBound) << dilation << " " << radius;
      EXPECT_LE(relative_error(curve.select(1, radius), expected.kept.mean(1)), kRelativeBound);
    }
  }
}

TEST_P(KeptMassAgainstDense, FewerGlobalTokensKeepLess) {
  const auto globals = layer_.global_tokens();
  if (globals == 0) GTEST_SKIP() << "no global tokens";
  const auto matrix = dense_attention_matrix(dense());
  const auto all = by_pattern(matrix, with({.window = 3}));
  const auto dropped = matrix.narrow(2, globals / 2, globals - globals / 2).sum(-1).narrow(1, globals, all.kept.size(1));
  const auto kept = kept_mass(layer_);
  EXPECT_LE(relative_error(kept.at(1, globals / 2).flatten(1), all.kept - dropped), kRelativeBound);
  EXPECT_LE(relative_error(kept.lost(1, globals / 2).flatten(1), all.lost + dropped), kRelativeBound);
}

TEST_P(KeptMassAgainstDense, DistancesFollowFromIt) {
  const auto globals = layer_.global_tokens();
  const auto of_grid = [&](const at::Tensor& matrix) { return matrix.narrow(1, globals, matrix.size(1) - globals); };
  const auto matrix = of_grid(dense_attention_matrix(dense()));
  const Cut dilated{.window = GetParam().heads % 2 == 0 ? 5 : 3, .dilation = GetParam().heads % 2 == 0 ? 2 : 3};
  for (const Cut& cut : {dilated, Cut{.window = 17}}) {
    const auto expected = distances(matrix, of_grid(dense_attention_matrix(with(cut))));
    const auto lost = kept_mass(layer_, cut.dilation).lost(cut.window / 2, globals).flatten(1);
    const auto rows = compare_rows(dense(), with(cut));
    EXPECT_LE(distance_error(lost, expected.variation), kRelativeBound);
    EXPECT_LE(distance_error(rows.total_variation.flatten(1), expected.variation), kRelativeBound);
    EXPECT_LE(distance_error(jensen_shannon_of_lost(lost), expected.divergence), kRelativeBound);
    EXPECT_LE(distance_error(rows.jensen_shannon.flatten(1), expected.divergence), kRelativeBound);
  }
}

TEST_P(KeptMassAgainstDense, RowsOfTwoLayersAreCompared) {   // other queries and keys, a pattern of its own with a dilation a head
  const auto other = random_layer(GetParam(), 2);
  const auto globals = layer_.global_tokens();
  const auto of_grid = [&](const at::Tensor& matrix) { return matrix.narrow(1, globals, matrix.size(1) - globals); };
  const auto expected = distances(of_grid(dense_attention_matrix(dense())), of_grid(dense_attention_matrix(other)));
  const auto rows = compare_rows(dense(), other);
  EXPECT_LE(distance_error(rows.total_variation.flatten(1), expected.variation), kRelativeBound);
  EXPECT_LE(distance_error(rows.jensen_shannon.flatten(1), expected.divergence), kRelativeBound);
  const auto same = compare_rows(other, other);
  EXPECT_EQ(same.total_variation.abs().max().item<double>(), 0);
  EXPECT_EQ(same.jensen_shannon.abs().max().item<double>(), 0);
}

INSTANTIATE_TEST_SUITE_P(Shapes, KeptMassAgainstDense, ::testing::ValuesIn(oracle_cases()));

TEST(KeptMass, EverythingIsKeptByAWindowOverTheGrid) {
  const auto kept = kept_mass(random_layer({.height = 6, .width = 5, .globals = 1, .heads = 3}, 2));
  EXPECT_LE(relative_error(kept.at(100, 1), at::ones({3, 6, 5}, at::kDouble)), kRelativeBound);
  EXPECT_LE(relative_error(kept.curve().select(1, 5), at::ones({3}, at::kDouble)), kRelativeBound);
  EXPECT_LT(kept.at(100, 0).max().item<double>(), 1.0);
}

TEST(KeptMass, NothingKeptIsTheLargestDistance) {
  EXPECT_NEAR(jensen_shannon_of_lost(at::ones({1})).item<double>(), std::numbers::ln2, 1e-7);
  EXPECT_EQ(jensen_shannon_of_lost(at::zeros({1})).item<double>(), 0);
  const double little = 1e-6;   // half of ln 2 times what is lost, to first order
  EXPECT_LE(relative_error(jensen_shannon_of_lost(at::full({1}, little, at::kDouble)), at::full({1}, little * std::numbers::ln2 / 2, at::kDouble)), 1e-5);
}

TEST(Features, CosineToOneToken) {
  const auto features = at::tensor({1.0f, 0.0f, 0.0f, 2.0f, 3.0f, 3.0f, -5.0f, 0.0f}).view({4, 2});
  const auto cosine = cosine_similarity(features, 0);
  EXPECT_LE(relative_error(cosine, at::tensor({1.0, 0.0, std::sqrt(0.5), -1.0}, at::kDouble)), kRelativeBound);
  EXPECT_LE(relative_error(cosine_of_pairs(features, features * 7), at::ones({4}, at::kDouble)), kRelativeBound);
}

TEST(Features, PrincipalDirectionsAreFoundWithTheirSigns) {
  at::manual_seed(1);
  const auto basis = std::get<0>(at::linalg_qr(at::randn({8, 3}, at::kDouble)));
  const auto features = at::matmul(at::randn({500, 3}, at::kDouble) * at::tensor({9.0, 4.0, 1.0}, at::kDouble), basis.t()) + 3;
  const auto colours = principal_colours(features);
  EXPECT_LE((at::matmul(colours.directions.to(at::kDouble), colours.directions.t().to(at::kDouble)) - at::eye(3, at::kDouble))
                .abs()
                .max()
                .item<double>(),
            1e-6);
  EXPECT_NEAR(colours.explained.sum().item<double>(), 1.0, 1e-9);
  EXPECT_GT(colours.explained[0].item<double>(), colours.explained[1].item<double>());
  EXPECT_TRUE((colours.directions.gather(1, colours.directions.abs().argmax(1, true)) > 0).all().item<bool>());
  EXPECT_TRUE(at::equal(colours.rgb, principal_colours(features).rgb));
  EXPECT_EQ(colours.rgb.max().item<int>(), 255);
  EXPECT_EQ(colours.rgb.min().item<int>(), 0);
}

TEST(Features, HighNormsAreFlagged) {
  at::manual_seed(2);
  auto features = at::randn({400, 16});
  features[17] *= 20;
  const auto norms = token_norms(features);
  EXPECT_EQ(norms.outlier.sum().item<int>(), 1);
  EXPECT_TRUE(norms.outlier[17].item<bool>());
  EXPECT_NEAR(norms.norm[3].item<double>(), features[3].norm().item<double>(), 1e-4);
}

}  // namespace
}  // namespace fovea::analysis
