#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/image/pyramid.h"
#include "core/image/writers.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

class PyramidTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("fovea-pyramid-" + std::to_string(::getpid()) + "-" + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Smooth along x and y, so that averaging and sampling give nearly the same.
  fs::path write_gradient(std::int64_t width, std::int64_t height) {
    ImageU8 image(width, height, 3);
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        image.row(y)[x * 3] = static_cast<std::uint8_t>(x * 255 / width);
        image.row(y)[x * 3 + 1] = static_cast<std::uint8_t>(y * 255 / height);
        image.row(y)[x * 3 + 2] = 77;
      }
    }
    const auto path = folder_ / "image.png";
    write_png(path, image);
    return path;
  }

  // Each pixel of a level against the gradient at its centre: rounding of two averages, and the step between neighbours.
  static void expect_gradient(Pyramid& pyramid, int level) {
    const auto size = pyramid.level_size(level);
    const ImageU8 pixels = pyramid.read_rgb({0, 0, size.width, size.height}, level);
    const double step = 255.0 * static_cast<double>(1 << level) / static_cast<double>(std::min(pyramid.info().width, pyramid.info().height));
    for (std::int64_t y = 0; y < size.height; y += 7) {
      for (std::int64_t x = 0; x < size.width; x += 7) {
        ASSERT_NEAR(pixels.row(y)[x * 3], 255.0 * (x + 0.5) / size.width, 2 + step) << "level " << level << " at " << x << ", " << y;
        ASSERT_NEAR(pixels.row(y)[x * 3 + 1], 255.0 * (y + 0.5) / size.height, 2 + step);
        ASSERT_EQ(pixels.row(y)[x * 3 + 2], 77);
      }
    }
  }

  fs::path folder_;
};

TEST_F(PyramidTest, LevelsHalveUntilTheyAreSmall) {
  Pyramid pyramid(write_gradient(2049, 1000), folder_ / "cache" / "a.tif");
  ASSERT_EQ(pyramid.levels(), 4);
  EXPECT_EQ(pyramid.level_size(1).width, 1025);
  EXPECT_EQ(pyramid.level_size(3).width, 257);
  EXPECT_EQ(pyramid.level_size(3).height, 125);
}

TEST_F(PyramidTest, EveryLevelShowsTheSamePictureBeforeAndAfterBuilding) {
  const auto image = write_gradient(2049, 1537);
  Pyramid pyramid(image, folder_ / "cache" / "a.tif");
  for (int level = 0; level < pyramid.levels(); ++level) expect_gradient(pyramid, level);
  EXPECT_TRUE(pyramid.needs_build()) << "a PNG has no windows";
  NoProgress progress;
  pyramid.build(progress, {});
  EXPECT_FALSE(pyramid.needs_build());
  for (int level = 0; level < pyramid.levels(); ++level) expect_gradient(pyramid, level);
  Pyramid again(image, folder_ / "cache" / "a.tif");
  EXPECT_FALSE(again.needs_build());
  expect_gradient(again, again.levels() - 1);
}

TEST_F(PyramidTest, TilesOfALevelAgreeWithTheWholeLevel) {
  Pyramid pyramid(write_gradient(1500, 1100), folder_ / "a.tif");
  const auto size = pyramid.level_size(1);
  const ImageU8 whole = pyramid.read_rgb({0, 0, size.width, size.height}, 1);
  const Rect tile{511, 300, size.width - 511, 33};
  const ImageU8 part = pyramid.read_rgb(tile, 1);
  for (std::int64_t y = 0; y < tile.height; ++y) {
    ASSERT_TRUE(std::equal(part.row(y), part.row(y) + tile.width * 3, whole.row(tile.y + y) + tile.x * 3)) << "row " << y;
  }
}

TEST_F(PyramidTest, DamagedOrForeignCacheIsBuiltAgain) {
  const auto image = write_gradient(1500, 1100);
  std::ofstream(folder_ / "a.tif") << "not a TIFF";
  Pyramid damaged(image, folder_ / "a.tif");
  EXPECT_TRUE(damaged.needs_build());
  write_png(folder_ / "b.tif", ImageU8(10, 10, 3));
  Pyramid foreign(image, folder_ / "b.tif");
  EXPECT_TRUE(foreign.needs_build());
  NoProgress progress;
  damaged.build(progress, {});
  EXPECT_FALSE(damaged.needs_build());
}

TEST_F(PyramidTest, StoppedBuildLeavesNothing) {
  Pyramid pyramid(write_gradient(1500, 1100), folder_ / "cache" / "a.tif");
  std::stop_source source;
  source.request_stop();
  NoProgress progress;
  EXPECT_THROW(pyramid.build(progress, source.get_token()), Error);
  EXPECT_TRUE(fs::is_empty(folder_ / "cache"));
  EXPECT_TRUE(pyramid.needs_build());
}

TEST_F(PyramidTest, CacheNameFollowsContentAndTime) {
  const auto image = write_gradient(20, 20);
  const auto before = pyramid_cache_file(image, folder_);
  EXPECT_EQ(before, pyramid_cache_file(image, folder_));
  fs::last_write_time(image, fs::last_write_time(image) + std::chrono::seconds(2));
  EXPECT_NE(before, pyramid_cache_file(image, folder_));
}

}  // namespace
}  // namespace fovea
