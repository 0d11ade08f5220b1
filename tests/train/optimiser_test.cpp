#include "core/train/optimiser.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/train/schedule.h"
#include "tests/train/training_samples.h"

namespace fovea {
namespace {

TEST(Schedule, WarmsUpLinearlyAndEndsWhereItShould) {
  const ScheduleOptions options{.steps = 101, .warmup_steps = 20, .final_rate = 0.1};
  EXPECT_DOUBLE_EQ(schedule_factor(0, options), 1.0 / 20);
  EXPECT_DOUBLE_EQ(schedule_factor(9, options), 0.5);
  EXPECT_DOUBLE_EQ(schedule_factor(19, options), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(20, options), 1.0);
  EXPECT_NEAR(schedule_factor(60, options), 0.55, 1e-12);   // half way: the mean of 1 and 0.1
  EXPECT_NEAR(schedule_factor(100, options), 0.1, 1e-12);
  for (std::int64_t step = 21; step <= 100; ++step) EXPECT_LT(schedule_factor(step, options), schedule_factor(step - 1, options));
}

TEST(Schedule, AWarmUpAsLongAsTheRunStaysFinite) {
  const ScheduleOptions options{.steps = 5, .warmup_steps = 5, .final_rate = 0};
  EXPECT_DOUBLE_EQ(schedule_factor(4, options), 1);
  EXPECT_DOUBLE_EQ(schedule_factor(0, {.steps = 1, .warmup_steps = 0, .final_rate = 0}), 1);
}

TEST(ParameterGroups, RatesFollowTheLayersAndVectorsDoNotDecay) {
  const SegmentationModel model(test::tiny_model());
  OptimiserConfig config;
  config.backbone_rate = 1e-4, config.rate = 1e-2, config.layer_decay = 0.5, config.weight_decay = 0.1;
  std::map<std::string, std::pair<double, double>> found;
  std::size_t count = 0;
  for (const auto& group : group_parameters(model, config)) {
    for (const auto& [name, ignored] : group.parameters) found[name] = {group.peak_rate, group.weight_decay}, ++count;
  }
  EXPECT_EQ(count, model.named_parameters().size());
  const auto expect = [&](const std::string& name, double rate, double decay) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_DOUBLE_EQ(found[name].first, rate) << name;
    EXPECT_DOUBLE_EQ(found[name].second, decay) << name;
  };
  expect("encoder.norm.weight", 1e-4, 0);
  expect("encoder.blocks.1.attention.qkv.weight", 0.5e-4, 0.1);
  expect("encoder.blocks.1.attention.qkv.bias", 0.5e-4, 0);
  expect("encoder.blocks.0.scale1", 0.25e-4, 0);
  expect("encoder.blocks.0.mlp.fc1.weight", 0.25e-4, 0.1);
  expect("encoder.patch.weight", 0.125e-4, 0.1);
  expect("encoder.global_tokens", 0.125e-4, 0);
  expect("decoder.head.weight", 1e-2, 0.1);
  expect("decoder.head.bias", 1e-2, 0);
}

// Sets every gradient to the same value.
void fill_gradients(SegmentationModel& model, float value) {
  for (auto& parameter : model.parameters()) parameter.mutable_grad() = torch::full_like(parameter, value);
}

TEST(Optimiser, ReportsTheNormAndClipsIt) {
  SegmentationModel model(test::tiny_model());
  std::int64_t count = 0;
  for (const auto& parameter : model.parameters()) count += parameter.numel();
  OptimiserConfig config;
  config.betas = {0, 0};   // the moments are then the clipped gradient and its square
  config.clip_norm = 0.5;
  Optimiser optimiser(model, config);
  fill_gradients(model, 2);
  const double norm = 2 * std::sqrt(static_cast<double>(count));
  EXPECT_NEAR(optimiser.step(1).item<double>(), norm, norm * 1e-5);
  const double clipped = optimiser.state().at("first_moment.encoder.patch.bias")[0].item<double>();
  EXPECT_NEAR(clipped, 2 * 0.5 / norm, 1e-5 * clipped);
  EXPECT_FALSE(model.parameters()[0].grad().defined()) << "a step forgets the gradients";
}

TEST(Optimiser, FirstStepMovesEachWeightByItsRate) {
  // Adam's first step is rate * sign(gradient), whatever the gradient's size; vectors have no weight decay.
  SegmentationModel model(test::tiny_model());
  OptimiserConfig config;
  config.backbone_rate = 1e-3, config.rate = 2e-3;
  Optimiser optimiser(model, config);
  const auto names = model.named_parameters();
  const auto encoder_before = names["encoder.patch.bias"].detach().clone(), decoder_before = names["decoder.head.bias"].detach().clone();
  fill_gradients(model, 3);
  optimiser.step(0.5);
  EXPECT_NEAR((encoder_before - names["encoder.patch.bias"]).mean().item<double>(), 0.5e-3, 1e-7);
  EXPECT_NEAR((decoder_before - names["decoder.head.bias"]).mean().item<double>(), 1e-3, 1e-7);
}

TEST(WeightAverage, FollowsItsRecurrence) {
  SegmentationModel model(test::tiny_model());
  constexpr double kDecay = 0.5;
  WeightAverage average(model, kDecay);
  auto weight = model.named_parameters()["decoder.head.bias"];
  torch::NoGradGuard no_grad;
  weight.fill_(0);
  WeightAverage from_zero(model, kDecay);
  double expected = 0;
  for (std::int64_t step = 0; step < 30; ++step) {
    weight.fill_(static_cast<double>(step + 1));
    from_zero.update(step);
    const double decay = std::min(kDecay, (1.0 + static_cast<double>(step)) / (10.0 + static_cast<double>(step)));
    expected = decay * expected + (1 - decay) * static_cast<double>(step + 1);
    EXPECT_NEAR(from_zero.state().at("average.decoder.head.bias")[0].item<double>(), expected, 1e-5 * expected);
  }
  {
    const UseAverage averaged(from_zero);
    EXPECT_NEAR(weight[0].item<double>(), expected, 1e-5 * expected);
  }
  EXPECT_EQ(weight[0].item<double>(), 30);
}

TEST(WeightAverage, WithoutDecayIsTheWeightsThemselves) {
  SegmentationModel model(test::tiny_model());
  WeightAverage average(model, 0);
  torch::NoGradGuard no_grad;
  auto weight = model.named_parameters()["decoder.head.bias"];
  weight.fill_(4);
  average.update(100);
  EXPECT_EQ(average.state().at("average.decoder.head.bias")[0].item<float>(), 4);
}

}  // namespace
}  // namespace fovea
