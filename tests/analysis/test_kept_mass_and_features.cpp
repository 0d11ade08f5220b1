#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "core/attention/analysis/features.h"
#include "core/attention/analysis/kept_mass.h"
#include "tests/analysis/dense_oracle.h"

namespace fovea::analysis {
namespace {

using namespace test;

constexpr double kRelativeBound = 1e-5;   // the project's bar for float32 against dense float64

// What a pattern keeps of the dense matrix, key by key: its own non-zero entries tell where it looks.
at::Tensor kept_by_pattern(const AttentionLayer& dense, AttentionLayer sparse) {
  const auto looks = dense_attention_matrix(sparse) > 0;
  return (dense_attention_matrix(dense) * looks).sum(-1).narrow(1, dense.global_tokens(), dense.height() * dense.width());
}

TEST(KeptMass, EveryWindowAndDilationInOnePass) {
  const auto dense = random_layer({.height = 9, .width = 12, .globals = 2, .heads = 2, .dense = true}, 1);
  for (const std::int64_t dilation : {1, 2, 3}) {
    const auto kept = kept_mass(dense, dilation);
    for (std::int64_t radius = 0; radius < kept.window.size(-1); ++radius) {
      auto sparse = dense;
      sparse.pattern = {.grid = dense.pattern.grid, .global_tokens = 2, .window = {2 * radius + 1, 2 * radius + 1}, .dilation = {dilation}};
      EXPECT_LE(relative_error(kept.at(radius, 2).flatten(1), kept_by_pattern(dense, sparse)), kRelativeBound);
    }
  }
}

TEST(KeptMass, EverythingIsKeptByAWindowOverTheGrid) {
  const auto kept = kept_mass(random_layer({.height = 6, .width = 5, .globals = 1, .heads = 3}, 2));
  EXPECT_LE(relative_error(kept.at(100, 1), at::ones({3, 6, 5}, at::kDouble)), kRelativeBound);
  EXPECT_LE(relative_error(kept.curve().select(1, 5), at::ones({3}, at::kDouble)), kRelativeBound);
  EXPECT_LT(kept.at(100, 0).max().item<double>(), 1.0);
}

TEST(KeptMass, DistancesFollowFromIt) {
  const auto dense = random_layer({.height = 8, .width = 7, .globals = 1, .heads = 2, .dense = true}, 3);
  auto sparse = dense;
  sparse.pattern = {.grid = dense.pattern.grid, .global_tokens = 1, .window = {5, 5}, .dilation = {1}};
  const auto p = dense_attention_matrix(dense).narrow(1, 1, 56), q = dense_attention_matrix(sparse).narrow(1, 1, 56), m = (p + q) / 2;
  const auto variation = (p - q).abs().sum(-1) / 2;
  const auto divergence = (at::xlogy(p, p) + at::xlogy(q, q)).sum(-1) / 2 - at::xlogy(m, m).sum(-1);
  const auto kept = kept_mass(dense).at(2, 1).flatten(1);
  const auto rows = compare_rows(dense, sparse);
  for (const auto& result : {total_variation_of_kept(kept), rows.total_variation.flatten(1)})
    EXPECT_LE(relative_error(result, variation), kRelativeBound);
  for (const auto& result : {jensen_shannon_of_kept(kept), rows.jensen_shannon.flatten(1)})
    EXPECT_LE(relative_error(result, divergence), kRelativeBound);
  const auto same = compare_rows(sparse, sparse);
  EXPECT_EQ(same.total_variation.abs().max().item<double>(), 0);
  EXPECT_EQ(same.jensen_shannon.abs().max().item<double>(), 0);
}

TEST(KeptMass, NothingKeptIsTheLargestDistance) {
  EXPECT_NEAR(jensen_shannon_of_kept(at::zeros({1})).item<double>(), std::numbers::ln2, 1e-7);
  EXPECT_EQ(jensen_shannon_of_kept(at::ones({1})).item<double>(), 0);
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
