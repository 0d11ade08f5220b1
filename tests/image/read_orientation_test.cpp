// EXIF orientation: size, windows, masks and georeference are those of the image as it is meant to be seen.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/files.h"
#include "core/image/image_source.h"
#include "core/image/oriented_source.h"
#include "core/image/writers.h"
#include "tests/image/expect_image.h"
#include "tests/image/sample_files.h"

namespace fovea::test {
namespace {

constexpr std::int64_t kTurnedWidth = 50, kTurnedHeight = 34;

// Written from EXIF's own words (which side the stored row 0 and column 0 are on), not from the code under test.
ImageU8 shown(const ImageU8& stored, int orientation) {
  const bool swapped = orientation >= 5;
  const std::int64_t w = stored.width(), h = stored.height();
  ImageU8 image(swapped ? h : w, swapped ? w : h, stored.channels());
  for (std::int64_t row = 0; row < h; ++row) {
    for (std::int64_t column = 0; column < w; ++column) {
      std::int64_t x = 0, y = 0;
      switch (orientation) {
        case 1: x = column, y = row; break;                    // row 0 top, column 0 left
        case 2: x = w - 1 - column, y = row; break;            // top, right
        case 3: x = w - 1 - column, y = h - 1 - row; break;    // bottom, right
        case 4: x = column, y = h - 1 - row; break;            // bottom, left
        case 5: x = row, y = column; break;                    // left, top
        case 6: x = h - 1 - row, y = column; break;            // right, top
        case 7: x = h - 1 - row, y = w - 1 - column; break;    // right, bottom
        default: x = row, y = w - 1 - column; break;           // left, bottom
      }
      std::copy_n(stored.row(row) + column * stored.channels(), stored.channels(), image.row(y) + x * stored.channels());
    }
  }
  return image;
}

class ReadOrientation : public ::testing::TestWithParam<int> {};

void expect_shown(const std::filesystem::path& path, const ImageU8& stored, int orientation) {
  const auto image = open_image(path);
  const ImageU8 expected = shown(stored, orientation);
  ASSERT_EQ(image->info().width, expected.width());
  ASSERT_EQ(image->info().height, expected.height());
  EXPECT_TRUE(same_pixels(image->read_rgb({0, 0, expected.width(), expected.height()}), expected));
  const Rect window{3, 11, 20, 9};
  EXPECT_TRUE(same_pixels(image->read_rgb(window), crop_of(expected, window)));
  EXPECT_EQ(image->read_valid(window).width(), window.width);
}

TEST_P(ReadOrientation, Jpeg) {
  const TemporaryFolder folder;
  const auto path = folder / "photo.jpg";
  write_raster({.path = path, .driver = "JPEG"}, make_pattern(kTurnedWidth, kTurnedHeight, 3, 8));
  const ImageU8 stored = open_image(path)->read_rgb({0, 0, kTurnedWidth, kTurnedHeight});
  write_bytes(path, with_exif_orientation(read_text_file(path), GetParam()));
  expect_shown(path, stored, GetParam());
}

TEST_P(ReadOrientation, Tiff) {
  const TemporaryFolder folder;
  const auto path = folder / "scan.tif";
  const ImageU8 stored = expected_rgb(make_pattern(kTurnedWidth, kTurnedHeight, 3, 8), 8);
  write_bytes(path, tiff_bytes({.width = kTurnedWidth, .height = kTurnedHeight, .orientation = static_cast<std::uint16_t>(GetParam()),
                                .pixels = {stored.samples().begin(), stored.samples().end()}}));
  expect_shown(path, stored, GetParam());
}

// The same point of the image lies at the same place on the earth, wherever it is shown.
TEST_P(ReadOrientation, Georeference) {
  const GeoReference stored{.geotransform = std::array{100.0, 2.0, 0.5, 700.0, 0.25, -3.0}, .projection_wkt = ""};
  const auto turned = Orientation::from_exif(GetParam()).apply(stored, kTurnedWidth, kTurnedHeight);
  ImageU8 marked(kTurnedWidth, kTurnedHeight, 1);
  marked.row(7)[31] = 1;
  const ImageU8 image = shown(marked, GetParam());
  const auto at = std::ranges::find(image.samples(), 1) - image.samples().begin();
  const double x = static_cast<double>(at % image.width()) + 0.5, y = static_cast<double>(at / image.width()) + 0.5;
  const auto& s = *stored.geotransform;
  const auto& t = *turned.geotransform;
  EXPECT_EQ(t[0] + t[1] * x + t[2] * y, s[0] + s[1] * 31.5 + s[2] * 7.5);
  EXPECT_EQ(t[3] + t[4] * x + t[5] * y, s[3] + s[4] * 31.5 + s[5] * 7.5);
}

INSTANTIATE_TEST_SUITE_P(Exif, ReadOrientation, ::testing::Range(1, 9));

TEST(ReadOrientationOfMasks, MasksTurnLikeTheirImages) {
  const TemporaryFolder folder;
  const auto path = folder / "mask.tif";
  ImageU8 stored(5, 3, 1);
  for (std::size_t i = 0; i < 15; ++i) stored.samples()[i] = static_cast<std::uint8_t>(i);
  write_bytes(path, tiff_bytes({.width = 5, .height = 3, .samples_per_pixel = 1, .orientation = 6,
                                .pixels = {stored.samples().begin(), stored.samples().end()}}));
  EXPECT_TRUE(same_pixels(read_index_mask(path), shown(stored, 6)));
}

}  // namespace
}  // namespace fovea::test
