#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/image/pyramid.h"
#include "core/image/pyramid_file.h"
#include "core/image/writers.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

// Formats without windows are then read from the cache only.
const ImageLimits kNothingKept{.max_kept_bytes = 0};

class PyramidTest : public ::testing::Test {
 protected:
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

  const test::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
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
  Pyramid pyramid(image, folder_ / "cache" / "a.tif", kNothingKept);
  for (int level = 0; level < pyramid.levels(); ++level) expect_gradient(pyramid, level);
  EXPECT_TRUE(pyramid.needs_build()) << "a PNG has no windows";
  NoProgress progress;
  pyramid.build(progress, {});
  EXPECT_FALSE(pyramid.needs_build());
  for (int level = 0; level < pyramid.levels(); ++level) expect_gradient(pyramid, level);
  Pyramid again(image, folder_ / "cache" / "a.tif", kNothingKept);
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
  Pyramid damaged(image, folder_ / "a.tif", kNothingKept);
  EXPECT_TRUE(damaged.needs_build());
  write_png(folder_ / "b.tif", ImageU8(10, 10, 3));
  Pyramid foreign(image, folder_ / "b.tif", kNothingKept);
  EXPECT_TRUE(foreign.needs_build());
  NoProgress progress;
  damaged.build(progress, {});
  EXPECT_FALSE(damaged.needs_build());
}

TEST_F(PyramidTest, StoppedBuildLeavesNothing) {
  Pyramid pyramid(write_gradient(1500, 1100), folder_ / "cache" / "a.tif", kNothingKept);
  std::stop_source source;
  source.request_stop();
  NoProgress progress;
  EXPECT_THROW(pyramid.build(progress, source.get_token()), Error);
  EXPECT_TRUE(fs::is_empty(folder_ / "cache"));
  EXPECT_TRUE(pyramid.needs_build());
}

TEST_F(PyramidTest, CacheNameFollowsContent) {
  const auto image = write_gradient(20, 20), copy = folder_ / "copy.png";
  const auto name = pyramid_cache_file(image, folder_);
  fs::copy_file(image, copy);
  fs::last_write_time(copy, fs::last_write_time(copy) + std::chrono::seconds(2));
  EXPECT_EQ(name, pyramid_cache_file(copy, folder_)) << "a copy is the same image";
  std::fstream(copy, std::ios::in | std::ios::out | std::ios::binary).seekp(40).put('!');
  EXPECT_NE(name, pyramid_cache_file(copy, folder_)) << "one byte changed";
}

TEST_F(PyramidTest, KeptImagesAreReadyWithoutCacheAndLargeOnesAreNot) {
  const auto image = write_gradient(2049, 1537);
  Pyramid kept(image, folder_ / "a.tif");
  EXPECT_FALSE(kept.needs_build()) << "three megapixels are shrunk at once";
  for (int level = 0; level < kept.levels(); ++level) EXPECT_TRUE(kept.ready(level));
  Pyramid passing(image, folder_ / "a.tif", kNothingKept);
  EXPECT_FALSE(passing.ready(0));
  EXPECT_EQ(passing.read_preview<std::uint8_t>({3, 4, 50, 40}, 0).height(), 40) << "something is shown until rows arrive";
  NoProgress progress;
  passing.build(progress, {});
  for (int level = 0; level < passing.levels(); ++level) {
    EXPECT_TRUE(passing.ready(level));
    expect_gradient(passing, level);
  }
}

// The preview of a JPEG is its reduced decode: the pixels of level 3 but for rounding.
TEST_F(PyramidTest, PreviewOfJpegIsTheLevel) {
  const auto png = write_gradient(1600, 1200);
  ImageU8 pixels = open_image(png)->read_rgb({0, 0, 1600, 1200});
  write_jpeg(folder_ / "image.jpg", pixels, 95);
  Pyramid pyramid(folder_ / "image.jpg", folder_ / "a.tif");
  const auto preview = pyramid.read_preview<std::uint8_t>({0, 0, 400, 300}, 2);
  for (std::int64_t y = 2; y < 300; y += 9) {
    for (std::int64_t x = 2; x < 400; x += 9) ASSERT_NEAR(preview.row(y)[3 * x], 255.0 * (x + 0.5) / 400, 5) << x << ", " << y;
  }
}

TEST_F(PyramidTest, SixteenBitsStaySixteenBits) {
  const auto path = folder_ / "deep.tif";
  PyramidFile file({.path = path, .width = 5000, .height = 4100, .bits = 16, .coarsest_side = 8192});
  ImageU16 row(5000, 1, 3);
  for (std::int64_t y = 0; y < 4100; ++y) {
    for (std::int64_t x = 0; x < 15000; ++x) row.samples()[static_cast<std::size_t>(x)] = static_cast<std::uint16_t>(12 * (x / 3));
    file.append(row);
  }
  file.finish({});
  Pyramid pyramid(path, folder_ / "a.tif");
  ASSERT_TRUE(pyramid.needs_build());
  EXPECT_FALSE(pyramid.ready(3));
  NoProgress progress;
  pyramid.build(progress, {});
  ASSERT_TRUE(pyramid.ready(3));
  const auto size = pyramid.level_size(3);
  const ImageU16 level = pyramid.read<std::uint16_t>({0, 10, size.width, 1}, 3);
  for (std::int64_t x = 0; x < size.width; x += 11) ASSERT_NEAR(level.row(0)[3 * x], 12 * (8 * x + 3.5), 4) << x;
}

TEST_F(PyramidTest, OldestCacheFilesGoFirstAndLitterGoes) {
  const auto write = [&](const char* name, std::size_t bytes, int age_s) {
    std::ofstream(folder_ / name) << std::string(bytes, 'x');
    fs::last_write_time(folder_ / name, fs::file_time_type::clock::now() - std::chrono::seconds(age_s));
  };
  write("old.tif", 1000, 300);
  write("older.tif", 1000, 400);
  write("new.tif", 1000, 10);
  write(".x.4194305-0.partial.tif", 500, 10);                                              // of no process: above the largest number
  write((".y." + std::to_string(::getpid()) + "-0.partial.tif").c_str(), 500, 10);         // being written now
  write("else.txt", 5000, 900);
  EXPECT_EQ(trim_pyramids(folder_, 2000, folder_ / "older.tif"), 2000);
  EXPECT_TRUE(fs::exists(folder_ / "older.tif")) << "in use";
  EXPECT_FALSE(fs::exists(folder_ / "old.tif"));
  EXPECT_TRUE(fs::exists(folder_ / "new.tif"));
  EXPECT_FALSE(fs::exists(folder_ / ".x.4194305-0.partial.tif"));
  EXPECT_TRUE(fs::exists(folder_ / (".y." + std::to_string(::getpid()) + "-0.partial.tif")));
  EXPECT_TRUE(fs::exists(folder_ / "else.txt"));
}

}  // namespace
}  // namespace fovea
