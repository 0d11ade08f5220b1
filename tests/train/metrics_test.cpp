#include "core/train/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/train/evaluate.h"
#include "core/train/loss.h"
#include "tests/train/training_samples.h"

namespace fovea {
namespace {

torch::Tensor bytes(const std::vector<std::int64_t>& values) { return torch::tensor(values).to(torch::kUInt8); }

TEST(ConfusionMatrix, CountsAndScoresByHand) {
  ConfusionMatrix matrix(4);
  matrix.add(bytes({0, 0, 0, 1, 1, 2, 255, 255}), bytes({0, 0, 1, 1, 0, 2, 3, 0}), 255);
  EXPECT_EQ(matrix.total(), 6);
  EXPECT_EQ(matrix.pixels(0, 0), 2);
  EXPECT_EQ(matrix.pixels(0, 1), 1);
  EXPECT_EQ(matrix.pixels(1, 0), 1);
  const auto iou = matrix.iou();
  EXPECT_DOUBLE_EQ(*iou[0], 2.0 / 4);
  EXPECT_DOUBLE_EQ(*iou[1], 1.0 / 3);
  EXPECT_DOUBLE_EQ(*iou[2], 1.0);
  EXPECT_FALSE(iou[3]) << "class 3 is predicted only where nothing is labelled";
  EXPECT_DOUBLE_EQ(matrix.mean_iou(), (2.0 / 4 + 1.0 / 3 + 1.0) / 3);
  EXPECT_DOUBLE_EQ(matrix.pixel_accuracy(), 4.0 / 6);
}

TEST(ConfusionMatrix, AddsUpAndSurvivesEmptiness) {
  ConfusionMatrix matrix(2);
  EXPECT_EQ(matrix.mean_iou(), 0);
  EXPECT_EQ(matrix.pixel_accuracy(), 0);
  matrix.add(bytes({255}), bytes({1}), 255);
  EXPECT_EQ(matrix.total(), 0);
  matrix.add(bytes({0}), bytes({0}), 255);
  matrix.add(bytes({1}), bytes({0}), 255);
  EXPECT_EQ(matrix.total(), 2);
  EXPECT_DOUBLE_EQ(*matrix.iou()[0], 0.5);
  EXPECT_DOUBLE_EQ(*matrix.iou()[1], 0.0);
}

TEST(ConfusionMatrix, RefusesALabelThatIsNoClass) {
  ConfusionMatrix matrix(2);
  EXPECT_THROW(matrix.add(bytes({0}), bytes({5}), 255), Error);
}

TEST(ConfusionMatrix, JsonNamesTheClasses) {
  ConfusionMatrix matrix(2);
  matrix.add(bytes({0, 0}), bytes({0, 0}), 255);
  const auto written = to_json(matrix, {"land", "road"});
  EXPECT_EQ(written["iou"]["land"], 1.0);
  EXPECT_TRUE(written["iou"]["road"].is_null());
  EXPECT_EQ(written["confusion"]["rows_truth_columns_prediction"][0][0], 2);
  EXPECT_EQ(written["mean_iou"], 1.0);
}

TEST(EvaluationPlan, CoresCoverTheRegionOnceAndKeepTheirMargin) {
  constexpr std::int64_t kPatch = 14;
  const ImageExtent image{333, 251};
  const Rect region{100, 20, 200, 231};
  const EvaluationTiling tiling{.tile = 96, .margin = 16};
  auto covered = torch::zeros({image.height, image.width}, torch::kInt32);
  for (const auto& [core, window] : plan_evaluation(image, region, kPatch, tiling)) {
    covered.narrow(0, core.y, core.height).narrow(1, core.x, core.width) += 1;
    EXPECT_LE(window.width, tiling.tile);
    EXPECT_LE(window.height, tiling.tile);
    EXPECT_EQ(window.x % kPatch, 0);
    EXPECT_EQ(window.y % kPatch, 0);
    EXPECT_TRUE(window.x == 0 || core.x - window.x >= tiling.margin);
    EXPECT_TRUE(window.y == 0 || core.y - window.y >= tiling.margin);
    const auto right = window.x + window.width, bottom = window.y + window.height;
    EXPECT_TRUE(right == image.width || right - core.x - core.width >= tiling.margin);
    EXPECT_TRUE(bottom == image.height || bottom - core.y - core.height >= tiling.margin);
  }
  EXPECT_EQ(covered.max().item<int>(), 1);
  EXPECT_EQ(covered.sum().item<std::int64_t>(), region.area());
  EXPECT_EQ(covered.narrow(0, region.y, region.height).narrow(1, region.x, region.width).min().item<int>(), 1);
  EXPECT_THROW(plan_evaluation(image, region, kPatch, {.tile = 32, .margin = 16}), Error);
}

TEST(Loss, CrossEntropyByHand) {
  // Two pixels with logits (0, ln 3) and (0, 0), one unlabelled: -ln(3/4) and -ln(1/2).
  const auto logits = torch::tensor({{0.0f, 0.0f, 9.0f}, {std::log(3.0f), 0.0f, 0.0f}}).view({1, 2, 1, 3});
  const auto masks = torch::tensor({1, 0, 255}).view({1, 1, 3});
  const double expected = (std::log(4.0 / 3) + std::log(2.0)) / 2;
  EXPECT_NEAR(segmentation_loss({logits, masks, {}, 255}, {}).item<double>(), expected, 4 * std::numeric_limits<float>::epsilon());
  // Weights 3 for class 0, 1 for class 1.
  const auto weights = torch::tensor({3.0f, 1.0f});
  const double weighted = (std::log(4.0 / 3) + 3 * std::log(2.0)) / 4;
  EXPECT_NEAR(segmentation_loss({logits, masks, weights, 255}, {}).item<double>(), weighted, 4 * std::numeric_limits<float>::epsilon());
}

TEST(Loss, SoftJaccardByHand) {
  // Class 1 has probability 3/4 on its one pixel and 1/2 on the pixel of class 0.
  const auto logits = torch::tensor({{0.0f, 0.0f, 9.0f}, {std::log(3.0f), 0.0f, 0.0f}}).view({1, 2, 1, 3});
  const auto masks = torch::tensor({1, 0, 255}).view({1, 1, 3});
  const double zero = 0.5 / (0.25 + 0.5 + 1 - 0.5), one = 0.75 / (0.75 + 0.5 + 1 - 0.75);
  LossConfig config;
  config.jaccard_weight = 1;
  const double loss = segmentation_loss({logits, masks, {}, 255}, config).item<double>();
  EXPECT_NEAR(loss, 1 - (zero + one) / 2, 4 * std::numeric_limits<float>::epsilon());
}

TEST(Loss, ABatchWithoutLabelsCostsNothingAndHasFiniteGradients) {
  auto logits = torch::randn({1, 3, 4, 4}, torch::requires_grad());
  const auto masks = torch::full({1, 4, 4}, 255, torch::kInt64);
  for (const double jaccard : {0.0, 0.5}) {
    LossConfig config;
    config.jaccard_weight = jaccard;
    config.label_smoothing = 0.1;
    const auto loss = segmentation_loss({logits, masks, torch::tensor({1.0f, 2.0f, 0.5f}), 255}, config);
    EXPECT_EQ(loss.item<float>(), 0);
    loss.backward();
    EXPECT_EQ(logits.grad().abs().max().item<float>(), 0);
  }
}

TEST(Loss, BalancedWeightsFavourRareClassesWithMeanOne) {
  LossConfig config;
  EXPECT_FALSE(class_weights(config, {10, 20}).defined());
  config.balanced = true;
  const auto weights = class_weights(config, {900, 100, 0});
  EXPECT_NEAR(weights[1].item<double>() / weights[0].item<double>(), 3, 3e-6);
  EXPECT_NEAR(weights[0].item<double>() * 0.9 + weights[1].item<double>() * 0.1, 1, 1e-6);
  EXPECT_EQ(weights[2].item<float>(), 0);
  config = {};
  config.class_weights = {1, 2};
  EXPECT_EQ(test::error_of([&] { class_weights(config, {1, 1, 1}); }), "loss.class_weights: 2 numbers, the model has 3 classes");
}

}  // namespace
}  // namespace fovea
