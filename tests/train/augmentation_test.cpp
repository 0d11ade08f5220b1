#include "core/train/augmentation.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "tests/train/training_samples.h"

namespace fovea {
namespace {

constexpr std::int64_t kCrop = 32;

AugmentationConfig geometry_only() {
  AugmentationConfig config;
  config.brightness = config.contrast = config.saturation = config.channel_gain = config.swap_red_blue = 0;
  return config;
}

CropPlan plain_plan(const Rect& window) {
  CropPlan plan;
  plan.window = window;
  plan.canvas = {0, 0, kCrop, kCrop};
  return plan;
}

// One image whose mask is its red channel in 8 broad steps: whatever happens to one must happen to the other.
class Augmentation : public testing::Test {
 protected:
  static constexpr std::int64_t kHeight = 90, kWidth = 120, kSteps = 8, kGrey = 28;
  Augmentation() {
    const auto y = torch::arange(kHeight).view({-1, 1}), x = torch::arange(kWidth).view({1, -1});
    const auto label = torch::floor_divide(x * 5 + y * 2, 110).clamp_max(kSteps - 1).to(torch::kUInt8);
    const auto red = label * kGrey;
    test::write_packed(folder_.path() / "set.safetensors", {{"a", {torch::stack({red, red, red}, 2).contiguous(), label.contiguous()}}});
    NoProgress progress;
    const std::vector<DataSource> sources{{folder_.path() / "set.safetensors", {}, {}}};
    set_.emplace(sources, LabelRange{kSteps, 255}, progress, std::stop_token());
  }
  Batch cut(const CropPlan& plan) const { return cut_batch(*set_, {plan}, {.crop = kCrop, .ignore_index = 255, .device = torch::kCPU}); }

  test::TemporaryFolder folder_;
  std::optional<TrainingSet> set_;
};

TEST_F(Augmentation, MaskFollowsImageThroughScaleFlipAndTurn) {
  const Rect region{10, 5, 100, 80};
  std::set<std::pair<bool, int>> seen;
  for (std::uint64_t i = 0; i < 64; ++i) {
    RandomStream random(5, 1, i);
    const auto plan = plan_crop(random, 0, region, kCrop, geometry_only());
    seen.insert({plan.flip, plan.quarter_turns});
    const auto batch = cut(plan);
    const auto expected = batch.masks[0] * kGrey;
    // Away from steps of the label the image must be exactly the label's grey; resampling mixes two neighbours at a step itself.
    const auto wrong = (batch.images[0][0] - expected).abs().gt(1e-3).to(torch::kFloat32);
    const auto padded = torch::max_pool2d(expected.to(torch::kFloat32).unsqueeze(0).unsqueeze(0), 5, 1, 2).squeeze();
    const auto eroded = -torch::max_pool2d(-expected.to(torch::kFloat32).unsqueeze(0).unsqueeze(0), 5, 1, 2).squeeze();
    const auto flat = padded.eq(eroded).to(torch::kFloat32);
    ASSERT_GT(flat.sum().item<float>(), kCrop * kCrop / 4) << "the sample has too few flat places to say anything";
    EXPECT_EQ((wrong * flat).sum().item<float>(), 0) << "crop " << i;
  }
  EXPECT_EQ(seen.size(), 8u) << "flips and quarter turns make eight orientations";
}

TEST_F(Augmentation, EachOrientationIsTheOneThePlanNames) {
  const Rect window{20, 30, kCrop, kCrop};
  const auto& source = set_->images()[0];
  const auto plain = source.mask.narrow(0, window.y, kCrop).narrow(1, window.x, kCrop).to(torch::kInt64);
  const auto rgb = source.image.narrow(0, window.y, kCrop).narrow(1, window.x, kCrop).permute({2, 0, 1}).to(torch::kFloat32);
  for (const bool flip : {false, true}) {
    for (int turns = 0; turns < 4; ++turns) {
      CropPlan plan = plain_plan(window);
      plan.flip = flip;
      plan.quarter_turns = turns;
      const auto batch = cut(plan);
      const auto place = [&](const torch::Tensor& x) { return torch::rot90(flip ? x.flip({-1}) : x, turns, {-2, -1}); };
      EXPECT_TRUE(torch::equal(batch.masks[0], place(plain)));
      EXPECT_LE((batch.images[0] - place(rgb)).abs().max().item<float>(), 255 * std::numeric_limits<float>::epsilon());
    }
  }
}

TEST_F(Augmentation, WindowsStayInsideTheRegion) {
  const Rect region{7, 11, 64, 50};
  double smallest = 1e9, largest = 0;
  for (std::uint64_t i = 0; i < 500; ++i) {
    RandomStream random(9, 2, i);
    const auto& w = plan_crop(random, 0, region, kCrop, geometry_only()).window;
    EXPECT_GE(w.x, region.x);
    EXPECT_GE(w.y, region.y);
    EXPECT_LE(w.x + w.width, region.x + region.width);
    EXPECT_LE(w.y + w.height, region.y + region.height);
    smallest = std::min(smallest, static_cast<double>(w.width));
    largest = std::max(largest, static_cast<double>(w.width));
  }
  // crop / 1.8 ... crop / 0.6, and both ends are come near to.
  EXPECT_GE(smallest, kCrop / 1.8 - 0.5);
  EXPECT_LE(largest, kCrop / 0.6 + 0.5);
  EXPECT_LT(smallest, kCrop / 1.7);
  EXPECT_GT(largest, kCrop / 0.65);
}

TEST_F(Augmentation, ARegionSmallerThanTheWindowIsSurroundedByUnlabelledPixels) {
  const Rect region{30, 40, 10, 12};
  RandomStream random(1, 1, 1);
  AugmentationConfig config = geometry_only();
  config.scale = {1, 1};
  const auto plan = plan_crop(random, 0, region, kCrop, config);
  EXPECT_EQ(plan.window, region);
  const auto batch = cut(plan);
  EXPECT_EQ(batch.images.sizes(), (std::vector<std::int64_t>{1, 3, kCrop, kCrop}));
  EXPECT_EQ(batch.masks.ne(255).sum().item<std::int64_t>(), region.area());
}

TEST_F(Augmentation, ShrinkingAveragesWhatItLeavesOut) {
  // Every third column is white, and the crop a third as wide: its samples fall on the white columns, or on black ones.
  const auto white = torch::arange(96).remainder(3).eq(1).to(torch::kUInt8) * 255;
  const auto stripes = white.view({1, 96, 1}).expand({96, 96, 3}).contiguous();
  test::write_packed(folder_.path() / "stripes.safetensors", {{"s", {stripes, torch::zeros({96, 96}, torch::kUInt8)}}});
  NoProgress progress;
  const std::vector<DataSource> sources{{folder_.path() / "stripes.safetensors", {}, {}}};
  set_.emplace(sources, LabelRange{1, 255}, progress, std::stop_token());
  const auto batch = cut(plain_plan({0, 0, 96, 96}));
  const auto inner = batch.images[0].narrow(2, 2, kCrop - 4);
  EXPECT_LT(inner.max().item<float>(), 255 * 0.7) << "sampling every third column would keep the stripes at full contrast";
  EXPECT_GT(inner.mean().item<float>(), 255 / 3.0 * 0.95);
}

TEST_F(Augmentation, ColourShiftsAreThoseOfTheirDefinition) {
  CropPlan plan = plain_plan({0, 0, kCrop, kCrop});
  const auto plain = cut(plan).images;
  plan.colour = {.contrast = 1.2, .brightness = 0.1, .saturation = 0.5, .channel_gain = {1.1, 1, 0.9}};
  const auto mean = plain.mean();
  const auto grey = (plain - mean) * 1.2 + mean + 25.5;   // the sample is grey: saturation leaves it as it is
  const auto expected = (grey * torch::tensor({1.1, 1.0, 0.9}).view({1, 3, 1, 1})).clamp(0, 255);
  EXPECT_LE((cut(plan).images - expected).abs().max().item<float>(), 255 * 16 * std::numeric_limits<float>::epsilon());
}

TEST_F(Augmentation, SwapExchangesRedAndBlueAndNothingElse) {
  const auto colours = torch::tensor({10, 20, 30}, torch::kUInt8).view({1, 1, 3}).expand({64, 64, 3}).contiguous();
  test::write_packed(folder_.path() / "flat.safetensors", {{"f", {colours, torch::zeros({64, 64}, torch::kUInt8)}}});
  NoProgress progress;
  set_.emplace(std::vector<DataSource>{{folder_.path() / "flat.safetensors", {}, {}}}, LabelRange{1, 255}, progress, std::stop_token());
  CropPlan plan = plain_plan({0, 0, kCrop, kCrop});
  const auto plain = cut(plan).images;
  plan.colour.swap_red_blue = true;
  EXPECT_TRUE(torch::equal(cut(plan).images, plain.flip({1})));
  EXPECT_FALSE(torch::equal(plain, plain.flip({1})));
}

TEST_F(Augmentation, SwapIsDrawnAsOftenAsTheConfigSays) {
  AugmentationConfig config = geometry_only();
  config.swap_red_blue = 0.25;
  int swapped = 0;
  for (std::uint64_t crop = 0; crop < 4000; ++crop) {
    RandomStream random(3, 0, crop);
    swapped += plan_crop(random, 0, {0, 0, 64, 64}, kCrop, config).colour.swap_red_blue ? 1 : 0;
  }
  EXPECT_NEAR(swapped, 1000, 5 * 27.4);   // five deviations of a binomial(4000, 1/4)
}

TEST_F(Augmentation, RedAndBlueChangePlacesWhereThePlanSaysSo) {
  const auto scene = test::disc_scene(kCrop, kCrop, kCrop / 2);
  test::write_packed(folder_.path() / "disc.safetensors", {{"d", scene}});
  NoProgress progress;
  const std::vector<DataSource> sources{{folder_.path() / "disc.safetensors", {}, {}}};
  set_.emplace(sources, LabelRange{2, 255}, progress, std::stop_token());
  CropPlan plan = plain_plan({0, 0, kCrop, kCrop});
  const auto plain = cut(plan).images;
  ASSERT_GT((plain - plain.flip({1})).abs().max().item<float>(), 100) << "the sample's red and blue are too alike";
  plan.colour.swap_red_blue = true;
  EXPECT_TRUE(torch::equal(cut(plan).images, plain.flip({1})));

  AugmentationConfig config;
  config.swap_red_blue = 0.25;
  int swapped = 0;
  for (std::uint64_t i = 0; i < 1600; ++i) {
    RandomStream random(2, 3, i);
    swapped += plan_crop(random, 0, {0, 0, 64, 64}, kCrop, config).colour.swap_red_blue;
  }
  EXPECT_NEAR(swapped, 400, 5 * 17.3);   // five deviations of a binomial(1600, 1/4)
}

TEST(RandomStream, IsAFunctionOfSeedAndCounters) {
  const auto first = [](std::uint64_t seed, std::uint64_t step, std::uint64_t crop) { return RandomStream(seed, step, crop).bits(); };
  EXPECT_EQ(first(1, 2, 3), first(1, 2, 3));
  std::set<std::uint64_t> values;
  for (std::uint64_t step = 0; step < 50; ++step) for (std::uint64_t crop = 0; crop < 50; ++crop) values.insert(first(1, step, crop));
  EXPECT_EQ(values.size(), 2500u);
  RandomStream random(7, 0, 0);
  std::array<int, 4> counts{};
  for (int i = 0; i < 4000; ++i) ++counts[static_cast<std::size_t>(random.below(4))];
  for (const int count : counts) EXPECT_NEAR(count, 1000, 5 * 27.4);   // five deviations of a binomial(4000, 1/4)
}

}  // namespace
}  // namespace fovea
