#include <gtest/gtest.h>

#include "app/viewer/explore/region.h"

namespace fovea::explore {
namespace {

std::shared_ptr<ModelSummary> model_of(std::int64_t globals) {
  auto model = std::make_shared<ModelSummary>();
  model->config.encoder.patch = 8;
  model->config.encoder.global_tokens = globals;
  model->config.encoder.attention.assign(3, {.dense = false, .window = {5, 7}, .dilation = {1}});
  model->halo_rows = 6;
  model->halo_columns = 9;
  if (globals > 0) model->region_caveat = "global tokens saw the region and its halo alone";
  return model;
}

TEST(Region, IsAlignedToPatchesAndCutToTheImage) {
  const auto plan =
      plan_region({-20, 13, 133, 20}, {.image_width = 200, .image_height = 100, .patch = 8, .margin_rows = 1, .margin_columns = 2});
  EXPECT_EQ(plan.asked, (Rect{0, 8, 120, 32}));
  EXPECT_EQ(plan.computed, (Rect{0, 0, 136, 48}));
  EXPECT_EQ(plan.asked_tokens, (TokenBox{1, 0, 4, 15}));
  EXPECT_EQ(plan.rows, 6);
  EXPECT_EQ(plan.columns, 17);
  EXPECT_FALSE(plan.whole_image);
}

TEST(Region, KeepsThePartialPatchesOfTheImagesEdge) {
  const auto plan = plan_region({150, 60, 500, 500}, {.image_width = 203, .image_height = 99, .patch = 8});
  EXPECT_EQ(plan.asked, (Rect{144, 56, 59, 43}));
  EXPECT_EQ(plan.columns, 8);
  EXPECT_EQ(plan.rows, 6);
}

TEST(Region, ElsewhereThanTheImageIsOneSentence) {
  for (const Rect& rect : {Rect{300, 0, 10, 10}, Rect{0, -10, 10, 10}, Rect{0, 0, 0, 5}}) {
    try {
      plan_region(rect, {.image_width = 200, .image_height = 100, .patch = 8});
      FAIL() << rect.x;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    }
  }
}

TEST(Region, MarginIsFullOnlyWhereItMakesTheRegionExact) {
  EXPECT_EQ(margin_tokens(*model_of(0), Margin::kAuto).rows, 6);
  EXPECT_EQ(margin_tokens(*model_of(0), Margin::kAuto).columns, 9);
  EXPECT_EQ(margin_tokens(*model_of(8), Margin::kAuto).rows, 2);
  EXPECT_EQ(margin_tokens(*model_of(8), Margin::kAuto).columns, 3);
  EXPECT_EQ(margin_tokens(*model_of(8), Margin::kFull).columns, 9);
  EXPECT_EQ(margin_tokens(*model_of(0), Margin::kNone).columns, 0);
}

TEST(Region, MostOfTheImageIsTheImage) {
  const auto model = model_of(0);
  EncodeRequest request{.image = {}, .region_level0 = Rect{80, 80, 640, 640}};
  EXPECT_TRUE(plan_encoding(request, *model, 800, 800).whole_image);
  request.region_level0 = Rect{80, 80, 200, 200};
  EXPECT_FALSE(plan_encoding(request, *model, 800, 800).whole_image);
  request.region_level0.reset();
  EXPECT_EQ(plan_encoding(request, *model, 800, 803).computed, (Rect{0, 0, 800, 803}));
}

TEST(Region, TokensOfPixels) {
  const Encoded encoded{.request = {},
                        .model = model_of(0),
                        .asked = {64, 32, 80, 80},
                        .computed = {40, 16, 128, 112},
                        .asked_tokens = {2, 3, 10, 10},
                        .rows = 14,
                        .columns = 16,
                        .caveat = {}};
  EXPECT_EQ(token_at(encoded, 64, 32), (TokenBox{2, 3, 1, 1}));
  EXPECT_EQ(token_at(encoded, 71.9, 39.9), (TokenBox{2, 3, 1, 1}));
  EXPECT_EQ(token_at(encoded, 72, 40), (TokenBox{3, 4, 1, 1}));
  EXPECT_FALSE(token_at(encoded, 63, 50));      // in the margin
  EXPECT_FALSE(token_at(encoded, -500, 50));
  EXPECT_EQ(tokens_of(encoded, 80, 60, 0, 33), (TokenBox{2, 3, 4, 3}));
  EXPECT_EQ(pixels_of(encoded, {2, 3, 1, 2}), (Rect{64, 32, 16, 8}));
}

}  // namespace
}  // namespace fovea::explore
