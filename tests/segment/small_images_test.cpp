// Small images in one pass of the model get the labels that each gets alone.
#include "core/segment/small_images.h"

#include <gtest/gtest.h>

#include "core/segment/whole_image.h"
#include "tests/segment/segment_test_support.h"

namespace fovea {
namespace {

using test::CollectingSink;
using test::MemorySource;

// One grid of 9 x 11 tokens of 8 pixels.
const std::vector<std::pair<std::int64_t, std::int64_t>> kSizes{{88, 72}, {81, 65}, {85, 72}, {88, 70}};

std::vector<ImageU8> images() {
  std::vector<ImageU8> all;
  for (const auto& [width, height] : kSizes) {
    all.push_back(test::sample_image(width, height));
    for (auto& sample : all.back().samples()) sample = static_cast<std::uint8_t>(sample + 17 * all.size());   // none like another
  }
  return all;
}

struct Placed {
  ImageU8 pixels;
  std::int64_t place = 0;
};

// Some of six places stay empty.
std::vector<Placed> placed(const std::vector<ImageU8>& pixels) {
  constexpr std::int64_t kPlaces[] = {1, 5, 3, 2};
  std::vector<Placed> all;
  for (const ImageU8& image : pixels) all.push_back({image.clone(), kPlaces[all.size()]});
  return all;
}

std::vector<LabelRows> together(const std::vector<Placed>& images, SegmentationModel& model) {
  SmallPass pass({.grid = {9, 11}, .images = 6}, model);
  for (const auto& [pixels, place] : images) {
    MemorySource source(pixels.clone());
    pass.add(source, place);
  }
  StageSeconds seconds;
  return pass.label(Probabilities::kEveryClass, seconds);
}

bool equal(const ImageU8& a, const ImageU8& b) { return a.width() == b.width() && std::ranges::equal(a.samples(), b.samples()); }

class SmallImagesTogether : public ::testing::TestWithParam<std::int64_t> {};   // global tokens

TEST_P(SmallImagesTogether, GetTheLabelsOfEachAlone) {
  const auto model = test::small_model({.global_tokens = GetParam(), .dilation = {1, 3}});
  const auto pixels = images();
  const auto labels = together(placed(pixels), *model);
  ASSERT_EQ(labels.size(), pixels.size());
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    MemorySource source(pixels[i].clone());
    CollectingSink alone;
    NoProgress progress;
    segment_whole_image(source, *model, {.encoder_rows = 9, .decoder_rows = 9},
                        {.sink = alone, .probabilities = Probabilities::kEveryClass, .progress = progress}, {});
    CollectingSink sink;
    sink.append({.classes = labels[i].classes.clone(), .probabilities = labels[i].probabilities.clone()});
    EXPECT_TRUE(torch::equal(sink.labels(), alone.labels())) << i;
    const auto difference = (sink.probabilities().to(torch::kInt) - alone.probabilities().to(torch::kInt)).abs().max().item<int>();
    EXPECT_LE(difference, 1) << "one step of rounding, where sums were made in another order";
  }
}
INSTANTIATE_TEST_SUITE_P(GlobalTokens, SmallImagesTogether, ::testing::Values(0, 2, 8));

TEST(SmallImages, DoNotDependOnTheirCompany) {
  const auto model = test::small_model({});
  const auto all_images = placed(images());
  const auto all = together(all_images, *model);
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<Placed> one;
    one.push_back({all_images[i].pixels.clone(), all_images[i].place});
    const auto alone = together(one, *model);
    EXPECT_TRUE(equal(alone[0].classes, all[i].classes) && equal(alone[0].probabilities, all[i].probabilities)) << i;
  }
}

class DamagedSource final : public ImageSource {
 public:
  const ImageInfo& info() const override { return whole_.info(); }
  ImageU8 read_rgb(Rect, int) override { throw Error(ErrorKind::kInput, "a.jpg: damaged"); }
  ImageU8 read_valid(Rect rect, int level) override { return whole_.read_valid(rect, level); }

 private:
  MemorySource whole_{test::sample_image(88, 72)};
};

TEST(SmallImages, OneThatCannotBeReadLeavesItsPlaceToOthers) {
  const auto model = test::small_model({});
  SmallPass pass({.grid = {9, 11}, .images = 2}, *model);
  DamagedSource damaged;
  EXPECT_THROW(pass.add(damaged, 1), Error);
  MemorySource other(test::sample_image(88, 72)), larger(test::sample_image(89, 72));
  EXPECT_THROW(pass.add(larger, 1), Error) << "another grid";
  pass.add(other, 1);
  EXPECT_THROW(pass.add(other, 1), Error) << "taken";
  StageSeconds seconds;
  EXPECT_EQ(pass.label(Probabilities::kNone, seconds).size(), 1u);
}

ImageInfo info_of(std::int64_t width, std::int64_t height) {
  ImageInfo info;
  info.width = width;
  info.height = height;
  return info;
}

TEST(SmallBatch, HoldsAsManyAsKeepADeviceBusyAndFit) {
  const auto model = test::small_model({});
  constexpr std::int64_t kPlenty = std::int64_t{1} << 40;
  const SegmentOptions options{.context = SegmentContext::kImage, .small_images = SmallImages::kTogether};
  const auto images_of = [&](std::int64_t side, std::int64_t bytes) { return small_batch_of(info_of(side, side), *model, options, bytes).images; };
  EXPECT_EQ(images_of(512, kPlenty), 16);
  EXPECT_EQ(images_of(1024, kPlenty), 4);
  EXPECT_EQ(images_of(2048, kPlenty), 1);
  EXPECT_EQ(images_of(8, kPlenty), 64);
  const std::int64_t few = images_of(512, 5 * (std::int64_t{1} << 27));
  EXPECT_GE(few, 1);
  EXPECT_LT(few, 16);
  EXPECT_EQ(images_of(512, 0), 1);
  EXPECT_EQ(small_batch_of(info_of(505, 512), *model, options, kPlenty).grid, (std::array<std::int64_t, 2>{64, 64}));
}

TEST(SmallBatch, IsOfOneOnTheCpuAndByTiles) {
  const auto model = test::small_model({});
  constexpr std::int64_t kPlenty = std::int64_t{1} << 40;
  EXPECT_EQ(small_batch_of(info_of(64, 64), *model, {}, kPlenty).images, 1);
  EXPECT_EQ(small_batch_of(info_of(64, 64), *model, {.context = SegmentContext::kTiles, .small_images = SmallImages::kTogether}, kPlenty).images, 1);
}

}  // namespace
}  // namespace fovea
