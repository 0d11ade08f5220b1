// A part of an image, and an image at another scale, are images like any other.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/image/image_views.h"
#include "core/image/pixel_size.h"
#include "tests/image/expect_image.h"
#include "tests/image/sample_files.h"

namespace fovea {
namespace {

constexpr std::int64_t kViewWidth = 61, kViewHeight = 47;
constexpr double kOriginX = 400'000, kOriginY = 5'000'000, kPixel = 0.5;
constexpr const char* kUtm =
    "PROJCS[\"WGS 84 / UTM zone 33N\",GEOGCS[\"WGS 84\",DATUM[\"WGS_1984\",SPHEROID[\"WGS 84\",6378137,298.257223563]],PRIMEM[\"Greenwich\",0],"
    "UNIT[\"degree\",0.0174532925199433]],PROJECTION[\"Transverse_Mercator\"],PARAMETER[\"latitude_of_origin\",0],"
    "PARAMETER[\"central_meridian\",15],PARAMETER[\"scale_factor\",0.9996],PARAMETER[\"false_easting\",500000],PARAMETER[\"false_northing\",0],"
    "UNIT[\"metre\",1]]";
constexpr const char* kDegrees =
    "GEOGCS[\"WGS 84\",DATUM[\"WGS_1984\",SPHEROID[\"WGS 84\",6378137,298.257223563]],PRIMEM[\"Greenwich\",0],"
    "UNIT[\"degree\",0.0174532925199433]]";

class ImageViews : public ::testing::Test {
 protected:
  void SetUp() override {
    test::write_raster({.path = file_, .options = {"TILED=YES", "BLOCKXSIZE=16", "BLOCKYSIZE=16"}, .alpha_last = true,
                  .georeference = {.geotransform = {{kOriginX, kPixel, 0, kOriginY, 0, -kPixel}}, .projection_wkt = kUtm}},
                 test::make_pattern(kViewWidth, kViewHeight, 4, 8));
    source_ = open_image(file_);
  }
  Rect all() const { return {0, 0, kViewWidth, kViewHeight}; }

  test::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "image.tif";
  std::unique_ptr<ImageSource> source_;
};

TEST_F(ImageViews, AWindowIsTheCropInItsPlace) {
  const Rect rect{7, 11, 30, 20};
  const ImageU8 whole = source_->read_rgb(all()), valid = source_->read_valid(all());
  const auto window = window_of(std::move(source_), rect);
  EXPECT_EQ(window->info().width, 30);
  EXPECT_EQ(window->info().height, 20);
  EXPECT_TRUE(test::same_pixels(window->read_rgb({0, 0, 30, 20}), test::crop_of(whole, rect)));
  EXPECT_TRUE(test::same_pixels(window->read_valid({0, 0, 30, 20}), test::crop_of(valid, rect)));
  EXPECT_TRUE(test::same_pixels(window->read_rgb({3, 5, 9, 8}), test::crop_of(whole, {10, 16, 9, 8})));
  const auto& transform = *window->info().georeference.geotransform;
  EXPECT_EQ(transform[0], kOriginX + 7 * kPixel);
  EXPECT_EQ(transform[3], kOriginY - 11 * kPixel);
  EXPECT_THROW(window->read_rgb({3, 5, 28, 8}), Error);
}

TEST_F(ImageViews, AWindowBeyondTheImageIsRefused) {
  for (const Rect& rect : {Rect{0, 0, kViewWidth + 1, 5}, Rect{-1, 0, 5, 5}, Rect{0, kViewHeight, 5, 5}, Rect{0, 0, 0, 5}}) {
    try {
      window_of(open_image(file_), rect);
      FAIL() << "a window of " << rect.width << " x " << rect.height << " at " << rect.x << ", " << rect.y;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
    }
  }
}

// The definition, pixel by pixel in double.
double triangle_average(const ImageU8& image, double centre_x, double centre_y, double reach_x, double reach_y, int channel) {
  double sum = 0, weights = 0;
  for (std::int64_t y = 0; y < image.height(); ++y) {
    for (std::int64_t x = 0; x < image.width(); ++x) {
      const double wx = std::max(0.0, 1 - std::abs(static_cast<double>(x) + 0.5 - centre_x) / reach_x);
      const double wy = std::max(0.0, 1 - std::abs(static_cast<double>(y) + 0.5 - centre_y) / reach_y);
      sum += wx * wy * image.row(y)[x * 3 + channel];
      weights += wx * wy;
    }
  }
  return sum / weights;
}

TEST_F(ImageViews, ResamplingWeighsByTheTriangle) {
  const ImageU8 whole = source_->read_rgb(all());
  for (const auto& [width, height] : std::vector<std::pair<std::int64_t, std::int64_t>>{{20, 16}, {61, 90}, {100, 31}, {1, 1}}) {
    const auto view = resampled(*source_, width, height);
    const ImageU8 pixels = view->read_rgb({0, 0, width, height});
    const double step_x = static_cast<double>(kViewWidth) / static_cast<double>(width), step_y = static_cast<double>(kViewHeight) / static_cast<double>(height);
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        const double expected = triangle_average(whole, (static_cast<double>(x) + 0.5) * step_x, (static_cast<double>(y) + 0.5) * step_y,
                                                 std::max(1.0, step_x), std::max(1.0, step_y), 1);
        // Rounded to a whole number; float32 sums of a few terms below 256 differ by less than a hundredth.
        ASSERT_NEAR(pixels.row(y)[x * 3 + 1], expected, 0.51) << x << ", " << y << " of " << width << " x " << height;
      }
    }
  }
}

TEST_F(ImageViews, EveryWindowOfAResampledImageGetsTheSamePixels) {
  for (const auto& [width, height] : std::vector<std::pair<std::int64_t, std::int64_t>>{{40, 31}, {130, 210}}) {
    const auto view = resampled(*source_, width, height);
    const ImageU8 whole = view->read_rgb({0, 0, width, height}), valid = view->read_valid({0, 0, width, height});
    for (const Rect& rect : {Rect{0, 0, 1, 1}, Rect{3, 5, 17, 26}, Rect{width - 7, height - 9, 7, 9}, Rect{0, height / 2, width, 1}}) {
      EXPECT_TRUE(test::same_pixels(view->read_rgb(rect), test::crop_of(whole, rect)));
      EXPECT_TRUE(test::same_pixels(view->read_valid(rect), test::crop_of(valid, rect)));
    }
  }
}

TEST_F(ImageViews, AResampledImageCoversTheSameGround) {
  const auto view = resampled(*source_, 30, 94);
  const auto& transform = *view->info().georeference.geotransform;
  EXPECT_EQ(transform[0], kOriginX);
  EXPECT_DOUBLE_EQ(transform[0] + 30 * transform[1], kOriginX + kViewWidth * kPixel);
  EXPECT_DOUBLE_EQ(transform[3] + 94 * transform[5], kOriginY - kViewHeight * kPixel);
}

TEST(PixelSize, IsThatOfTheReferenceSystem) {
  ImageInfo image;
  image.width = image.height = 100;
  EXPECT_FALSE(pixel_size_metres(image));
  image.georeference = {.geotransform = {{kOriginX, kPixel, 0, kOriginY, 0, -kPixel}}, .projection_wkt = kUtm};
  EXPECT_DOUBLE_EQ(pixel_size_metres(image).value(), kPixel);
  // A rotated grid has the same area.
  image.georeference.geotransform = {{kOriginX, 0.3, 0.4, kOriginY, 0.4, -0.3}};
  EXPECT_NEAR(pixel_size_metres(image).value(), 0.5, 1e-12);
  // At the equator of WGS 84 a degree is 111,319.49 m to the east and 110,574.28 m to the north (NIMA TR8350.2).
  image.georeference = {.geotransform = {{0, 1e-5, 0, 5e-4, 0, -1e-5}}, .projection_wkt = kDegrees};
  EXPECT_NEAR(pixel_size_metres(image).value(), std::sqrt(1.1131949 * 1.1057428), 1e-6);
  image.georeference.projection_wkt = "nonsense";
  EXPECT_FALSE(pixel_size_metres(image));
}

TEST(ReferenceSystem, HasANameForPeople) {
  EXPECT_EQ(reference_system_name(kUtm), "WGS 84 / UTM zone 33N");
  std::string registered = kDegrees;
  registered.insert(registered.size() - 1, ",AUTHORITY[\"EPSG\",\"4326\"]");
  EXPECT_EQ(reference_system_name(registered), "WGS 84 (EPSG:4326)");
  EXPECT_EQ(reference_system_name("nonsense"), "unknown");
}

}  // namespace
}  // namespace fovea
