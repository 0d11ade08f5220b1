// From the size that the model sees back to the size of the image.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/segment/label_scaler.h"
#include "core/segment/scaling.h"

namespace fovea {
namespace {

ImageU8 pattern(std::int64_t width, std::int64_t height, int channels, unsigned values) {
  ImageU8 image(width, height, channels);
  std::uint32_t noise = 7;
  for (auto& sample : image.samples()) {
    noise = noise * 1664525u + 1013904223u;
    sample = static_cast<std::uint8_t>((noise >> 16) % values);
  }
  return image;
}

ImageU8 rows_of(const ImageU8& image, std::int64_t first, std::int64_t count) {
  ImageU8 part(image.width(), count, image.channels());
  std::copy_n(image.row(first), part.samples().size(), part.samples().begin());
  return part;
}

struct Scaled {
  std::vector<std::uint8_t> classes, probabilities;
};

Scaled scale_by_bands(const LabelRows& map, const LabelScaler::Size& to, std::int64_t band) {
  LabelScaler scaler({map.classes.width(), map.classes.height()}, to);
  Scaled scaled;
  for (std::int64_t y = 0; y < map.classes.height(); y += band) {
    const std::int64_t count = std::min(band, map.classes.height() - y);
    const LabelRows rows = scaler.add({.classes = rows_of(map.classes, y, count), .probabilities = rows_of(map.probabilities, y, count)});
    scaled.classes.insert(scaled.classes.end(), rows.classes.samples().begin(), rows.classes.samples().end());
    scaled.probabilities.insert(scaled.probabilities.end(), rows.probabilities.samples().begin(), rows.probabilities.samples().end());
  }
  return scaled;
}

TEST(LabelScaler, GivesTheSameWhateverTheBands) {
  const LabelRows map{.classes = pattern(23, 19, 1, 4), .probabilities = pattern(23, 19, 4, 256)};
  for (const LabelScaler::Size to : {LabelScaler::Size{23, 19}, {60, 41}, {11, 7}, {100, 5}, {1, 1}}) {
    const Scaled whole = scale_by_bands(map, to, 19);
    ASSERT_EQ(whole.classes.size(), static_cast<std::size_t>(to.width * to.height));
    ASSERT_EQ(whole.probabilities.size(), static_cast<std::size_t>(to.width * to.height * 4));
    for (const std::int64_t band : {1, 2, 7}) {
      const Scaled parts = scale_by_bands(map, to, band);
      EXPECT_EQ(parts.classes, whole.classes) << to.width << " x " << to.height << " by " << band;
      EXPECT_EQ(parts.probabilities, whole.probabilities);
    }
  }
}

TEST(LabelScaler, TakesTheLargestOfTheInterpolatedClasses) {
  const LabelRows map{.classes = pattern(9, 8, 1, 3), .probabilities = pattern(9, 8, 3, 2)};
  const LabelScaler::Size to{31, 29};
  const Scaled scaled = scale_by_bands(map, to, 3);
  const auto weight = [](double centre, std::int64_t old, std::int64_t length) {   // bilinear, the edge repeated
    const double clamped = std::clamp(centre, 0.0, static_cast<double>(length - 1));
    return std::max(0.0, 1 - std::abs(clamped - static_cast<double>(old)));
  };
  for (std::int64_t y = 0; y < to.height; ++y) {
    for (std::int64_t x = 0; x < to.width; ++x) {
      const double cy = (static_cast<double>(y) + 0.5) * 8 / 29 - 0.5, cx = (static_cast<double>(x) + 0.5) * 9 / 31 - 0.5;
      double shares[3] = {0, 0, 0};
      for (std::int64_t i = 0; i < 8; ++i) {
        for (std::int64_t k = 0; k < 9; ++k) shares[map.classes.row(i)[k]] += weight(cy, i, 8) * weight(cx, k, 9);
      }
      const double best = *std::max_element(shares, shares + 3);
      EXPECT_NEAR(shares[scaled.classes[static_cast<std::size_t>(y * to.width + x)]], best, 1e-6) << x << ", " << y;
    }
  }
}

TEST(LabelScaler, KeepsPixelsAtTheSameSize) {
  const LabelRows map{.classes = pattern(23, 19, 1, 4), .probabilities = pattern(23, 19, 4, 256)};
  const Scaled scaled = scale_by_bands(map, {23, 19}, 5);
  EXPECT_TRUE(std::equal(scaled.classes.begin(), scaled.classes.end(), map.classes.samples().begin()));
  EXPECT_TRUE(std::equal(scaled.probabilities.begin(), scaled.probabilities.end(), map.probabilities.samples().begin()));
}

ImageInfo image_of(std::int64_t width, std::int64_t height) {
  ImageInfo image;
  image.width = width;
  image.height = height;
  return image;
}

ErrorKind refusal(const ImageInfo& image, const ModelConfig& model, const ScaleChoice& scale, std::optional<double> metres) {
  try {
    model_extent(image, model, scale, metres);
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::kContract;
}

TEST(ModelExtent, FollowsTheChoice) {
  ModelConfig model;
  const ImageInfo image = image_of(1000, 601);
  EXPECT_EQ(model_extent(image, model, {}, 0.1), (PixelExtent{1000, 601}));
  EXPECT_EQ(model_extent(image, model, {.kind = ScaleChoice::Kind::kFactor, .factor = 0.5}, {}), (PixelExtent{500, 301}));
  const ScaleChoice automatic{.kind = ScaleChoice::Kind::kAuto}, declared{.kind = ScaleChoice::Kind::kAuto, .pixel_size_m = 0.6};
  EXPECT_EQ(refusal(image, model, automatic, 0.1), ErrorKind::kUsage);
  model.preprocessing.ground_sampling_distance_m = {0.3, 0.3};
  EXPECT_EQ(model_extent(image, model, automatic, 0.15), (PixelExtent{500, 301}));
  EXPECT_EQ(model_extent(image, model, declared, {}), (PixelExtent{2000, 1202}));
  EXPECT_EQ(model_extent(image, model, declared, 0.3), (PixelExtent{1000, 601})) << "the georeference goes before what was declared";
  EXPECT_EQ(model_extent(image, model, automatic, 0.303), (PixelExtent{1000, 601})) << "within the tolerance";
  EXPECT_EQ(refusal(image, model, automatic, {}), ErrorKind::kInput);
  EXPECT_EQ(refusal(image, model, automatic, 30), ErrorKind::kInput);
}

TEST(ModelExtent, LeavesPixelSizesThatTheModelWasTrainedOn) {
  ModelConfig model;
  model.preprocessing.ground_sampling_distance_m = {0.1, 1.0};
  const ImageInfo image = image_of(1000, 600);
  const ScaleChoice automatic{.kind = ScaleChoice::Kind::kAuto};
  for (const double inside : {0.1, 0.3, 1.0}) EXPECT_EQ(model_extent(image, model, automatic, inside), (PixelExtent{1000, 600})) << inside;
  EXPECT_EQ(model_extent(image, model, automatic, 0.05), (PixelExtent{500, 300})) << "to the smallest";
  EXPECT_EQ(model_extent(image, model, automatic, 2.5), (PixelExtent{2500, 1500})) << "to the largest";
}

}  // namespace
}  // namespace fovea
