// Masks come back as they were written, with everything that belongs to them, and appear only when they are whole.
#include <gtest/gtest.h>
#include <gdal_priv.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>

#include "core/base/files.h"
#include "core/image/coco.h"
#include "core/image/gdal_support.h"
#include "core/image/image_source.h"
#include "core/image/polygons.h"
#include "core/image/writers.h"
#include "tests/image/expect_image.h"
#include "tests/image/sample_files.h"

namespace fovea::test {
namespace {

const std::vector<Colour> kPalette = {{200, 180, 140}, {90, 90, 90}, {220, 40, 40}, {30, 160, 60}, {30, 90, 220}};
const std::vector<std::string> kNames = {"land", "road", "building", "vegetation", "water: \"salt\" & sweet"};

ImageU8 make_mask(std::int64_t width, std::int64_t height, int nodata) {
  ImageU8 mask(width, height, 1);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) mask.row(y)[x] = static_cast<std::uint8_t>((x / 37 + y / 23 + x * y / 9000) % 5);
  }
  if (nodata >= 0) std::fill_n(mask.row(height / 2), width / 2, static_cast<std::uint8_t>(nodata));
  return mask;
}

// Noise does not compress: a mask larger than a small disk.
ImageU8 make_noise(std::int64_t width, std::int64_t height, int channels) {
  ImageU8 noise(width, height, channels);
  std::uint32_t state = 1;
  for (auto& value : noise.samples()) value = static_cast<std::uint8_t>((state = state * 1664525u + 1013904223u) >> 24) % 5;
  return noise;
}

// Bands of prime height, so that they fit no tile.
template <class Writer>
void append_by_bands(Writer& writer, const ImageU8& image) {
  for (std::int64_t y = 0; y < image.height(); y += 101) {
    writer.append(crop_of(image, {0, y, image.width(), std::min<std::int64_t>(101, image.height() - y)}));
  }
}

MaskWriterOptions mask_options(const std::filesystem::path& path, MaskFormat format, const ImageU8& mask) {
  return {.path = path, .format = format, .width = mask.width(), .height = mask.height(), .palette = kPalette, .class_names = kNames,
          .georeference = {.geotransform = std::array{370000.05, 0.1, 0.0, 5800000.3, 0.0, -0.1}, .projection_wkt = ""}};
}

class WriteMask : public ::testing::TestWithParam<std::tuple<MaskFormat, int>> {};

TEST_P(WriteMask, ComesBack) {
  const auto [format, nodata] = GetParam();
  const TemporaryFolder folder;
  const auto path = folder / "scene_mask.bin";
  const ImageU8 mask = make_mask(1111, 777, nodata);
  auto options = mask_options(path, format, mask);
  options.nodata = nodata;
  const auto writer = create_mask_writer(options);
  append_by_bands(*writer, mask);
  EXPECT_FALSE(std::filesystem::exists(path));
  writer->finish();
  EXPECT_EQ(folder.names(), std::vector<std::string>{"scene_mask.bin"});
  EXPECT_TRUE(same_pixels(read_index_mask(path), mask));

  const auto image = open_image(path);
  EXPECT_EQ(image->info().bands, 3);   // a palette
  const ImageU8 rgb = image->read_rgb({0, 0, mask.width(), 1}), valid = image->read_valid({0, mask.height() / 2, mask.width(), 1});
  for (std::int64_t x = 0; x < mask.width(); ++x) {
    const Colour& colour = kPalette[mask.row(0)[x]];
    ASSERT_EQ((Colour{rgb.row(0)[x * 3], rgb.row(0)[x * 3 + 1], rgb.row(0)[x * 3 + 2]}), colour);
    ASSERT_EQ(valid.row(0)[x], mask.row(mask.height() / 2)[x] == nodata ? 0 : 255) << x;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, WriteMask,
                         ::testing::Combine(::testing::Values(MaskFormat::kPng, MaskFormat::kTiff, MaskFormat::kCog),
                                            ::testing::Values(-1, 4, 255)));

TEST(WriteMaskTiff, CarriesGeoreferenceNamesAndOverviews) {
  const TemporaryFolder folder;
  const auto path = folder / "scene_mask.tif";
  const ImageU8 mask = make_mask(1500, 900, -1);
  auto options = mask_options(path, MaskFormat::kTiff, mask);
  options.nodata = 0;
  write_raster({.path = folder / "map.tif", .georeference = options.georeference}, make_pattern(4, 4, 1, 8));
  const auto writer = create_mask_writer(options);
  append_by_bands(*writer, mask);
  writer->finish();
  const std::string head = read_text_file(path).substr(0, 4);
  EXPECT_EQ(head, std::string("II+\0", 4));   // BigTIFF
  const auto info = open_image(path)->info();
  EXPECT_EQ(info.georeference, options.georeference);
  EXPECT_EQ(info.nodata, 0);
  ASSERT_EQ(info.levels.size(), 3u);
  EXPECT_EQ(info.levels[1].width, 750);
  const auto dataset = gdal::open(path, "GTiff");
  for (std::size_t i = 0; i < kNames.size(); ++i) EXPECT_EQ(dataset->GetMetadataItem(("CLASS_" + std::to_string(i)).c_str()), kNames[i]);
  int width = 0, height = 0;
  dataset->GetRasterBand(1)->GetBlockSize(&width, &height);
  EXPECT_EQ(width, height);
  EXPECT_STREQ(dataset->GetMetadataItem("COMPRESSION", "IMAGE_STRUCTURE"), "DEFLATE");
}

// GDAL says COG only of a file whose directories precede all pixels, smallest overview first.
TEST(WriteMaskCog, IsLaidOutForRangeRequestsAndCarriesTheSame) {
  const TemporaryFolder folder;
  const auto path = folder / "scene_mask.tif";
  const ImageU8 mask = make_mask(2100, 1300, 4);
  auto options = mask_options(path, MaskFormat::kCog, mask);
  options.nodata = 4;
  const auto writer = create_mask_writer(options);
  append_by_bands(*writer, mask);
  writer->finish();
  EXPECT_EQ(folder.names(), std::vector<std::string>{"scene_mask.tif"});
  const auto info = open_image(path)->info();
  EXPECT_EQ(info.georeference, options.georeference);
  EXPECT_EQ(info.nodata, 4);
  const auto dataset = gdal::open(path, "GTiff");
  EXPECT_STREQ(dataset->GetMetadataItem("LAYOUT", "IMAGE_STRUCTURE"), "COG");
  for (std::size_t i = 0; i < kNames.size(); ++i) EXPECT_EQ(dataset->GetMetadataItem(("CLASS_" + std::to_string(i)).c_str()), kNames[i]);
  ASSERT_EQ(dataset->GetRasterBand(1)->GetOverviewCount(), 3);
  long long next = LLONG_MAX;
  for (int level = -1; level < 3; ++level) {   // the pixels of the smallest overview lie first
    GDALRasterBand* const band = level < 0 ? dataset->GetRasterBand(1) : dataset->GetRasterBand(1)->GetOverview(level);
    const char* const offset = band->GetMetadataItem("BLOCK_OFFSET_0_0", "TIFF");
    ASSERT_NE(offset, nullptr);
    EXPECT_LT(std::stoll(offset), next);
    next = std::stoll(offset);
  }
}

// Rows of tiles and their overviews follow each other in the file in one order.
TEST(WriteMaskTiff, TheSameBytesHoweverTheRowsCome) {
  const TemporaryFolder folder;
  const ImageU8 mask = make_mask(1501, 1700, -1);
  for (const char* name : {"bands.tif", "whole.tif"}) {
    const auto writer = create_mask_writer(mask_options(folder / name, MaskFormat::kTiff, mask));
    if (std::string_view(name) == "whole.tif") writer->append(mask);
    else append_by_bands(*writer, mask);
    writer->finish();
  }
  EXPECT_EQ(read_text_file(folder / "bands.tif"), read_text_file(folder / "whole.tif"));
}

TEST(WriteRgbTiff, OverviewsHoldTheMean) {
  const TemporaryFolder folder;
  const ImageU8 image = make_noise(701, 579, 3);
  const auto writer = create_rgb_tiff_writer({.path = folder / "scene.tif", .width = image.width(), .height = image.height()});
  append_by_bands(*writer, image);
  writer->finish();
  const auto dataset = gdal::open(folder / "scene.tif", "GTiff");
  ASSERT_EQ(dataset->GetRasterBand(1)->GetOverviewCount(), 2);
  ImageU8 level(351, 290, 3);
  for (int c = 0; c < 3; ++c) {
    ASSERT_EQ(dataset->GetRasterBand(c + 1)->GetOverview(0)->RasterIO(GF_Read, 0, 0, 351, 290, level.samples().data() + c, 351, 290, GDT_Byte,
                                                                      3, 3 * 351, nullptr), CE_None);
  }
  for (std::int64_t y = 0; y < level.height(); ++y) {
    for (std::int64_t x = 0; x < level.width() * 3; ++x) {
      int sum = 0;
      for (const std::int64_t v : {2 * y, std::min<std::int64_t>(2 * y + 1, 578)}) {
        for (const std::int64_t u : {2 * (x / 3), std::min<std::int64_t>(2 * (x / 3) + 1, 700)}) sum += image.row(v)[3 * u + x % 3];
      }
      ASSERT_EQ(level.row(y)[x], (sum + 2) / 4) << x << ", " << y;
    }
  }
}

// The level below, halved by another hand: the most frequent of four samples.
TEST(WriteMaskTiff, OverviewsHoldTheMajority) {
  const TemporaryFolder folder;
  const auto path = folder / "scene_mask.tif";
  const ImageU8 mask = make_noise(1501, 1033, 1);
  const auto writer = create_mask_writer(mask_options(path, MaskFormat::kTiff, mask));
  append_by_bands(*writer, mask);
  writer->finish();
  const auto dataset = gdal::open(path, "GTiff");
  ImageU8 below = mask.clone();
  ASSERT_EQ(dataset->GetRasterBand(1)->GetOverviewCount(), 2);
  for (int i = 0; i < 2; ++i) {
    GDALRasterBand& overview = *dataset->GetRasterBand(1)->GetOverview(i);
    ImageU8 level((below.width() + 1) / 2, (below.height() + 1) / 2, 1);
    const auto width = static_cast<int>(level.width()), height = static_cast<int>(level.height());
    ASSERT_EQ(overview.GetXSize(), width);
    ASSERT_EQ(overview.RasterIO(GF_Read, 0, 0, width, height, level.samples().data(), width, height, GDT_Byte, 0, 0, nullptr), CE_None);
    for (std::int64_t y = 0; y < level.height(); ++y) {
      for (std::int64_t x = 0; x < level.width(); ++x) {
        std::array<int, 256> count{};
        for (const std::int64_t v : {2 * y, std::min(2 * y + 1, below.height() - 1)}) {
          for (const std::int64_t u : {2 * x, std::min(2 * x + 1, below.width() - 1)}) ++count[below.row(v)[u]];
        }
        ASSERT_EQ(count[level.row(y)[x]], *std::ranges::max_element(count)) << x << ", " << y;
      }
    }
    below = std::move(level);
  }
}

TEST(WriteMaskNarrow, OnePixelAndOneColumn) {
  const TemporaryFolder folder;
  for (const auto format : {MaskFormat::kPng, MaskFormat::kTiff, MaskFormat::kCog}) {
    for (const std::int64_t height : {1, 700}) {
      const ImageU8 mask = make_mask(1, height, -1);
      const auto writer = create_mask_writer(mask_options(folder / "mask", format, mask));
      append_by_bands(*writer, mask);
      writer->finish();
      EXPECT_TRUE(same_pixels(read_index_mask(folder / "mask"), mask));
    }
  }
}

TEST(WriteMaskContract, WrongRowsAndIndicesAreRefused) {
  const TemporaryFolder folder;
  const ImageU8 mask = make_mask(20, 10, -1);
  for (const auto format : {MaskFormat::kPng, MaskFormat::kTiff}) {
    const auto writer = create_mask_writer(mask_options(folder / "mask", format, mask));
    EXPECT_THROW(writer->append(ImageU8(19, 1, 1)), Error);
    EXPECT_THROW(writer->append(ImageU8(20, 11, 1)), Error);
    ImageU8 beyond(20, 1, 1);
    beyond.row(0)[7] = 5;
    EXPECT_THROW(writer->append(beyond), Error);
    EXPECT_THROW(writer->finish(), Error);   // rows are missing
  }
  EXPECT_TRUE(folder.names().empty());
}

TEST(WriteMaskFailure, FolderThatIsNotThere) {
  const TemporaryFolder folder;
  const ImageU8 mask = make_mask(20, 10, -1);
  for (const auto format : {MaskFormat::kPng, MaskFormat::kTiff}) {
    const auto path = folder / "no" / "mask.tif";
    EXPECT_EQ(complaint(ErrorKind::kEnvironment, path, [&] { create_mask_writer(mask_options(path, format, mask)); }),
              "cannot write: No such file or directory");
  }
}

void expect_no_room(const std::filesystem::path& folder, const std::string& reason) {
  const ImageU8 mask = make_noise(4000, 3000, 1), picture = make_noise(2000, 1500, 3);
  for (const auto format : {MaskFormat::kPng, MaskFormat::kTiff}) {
    const auto path = folder / "mask.tif";
    const auto write = [&] {
      const auto writer = create_mask_writer(mask_options(path, format, mask));
      append_by_bands(*writer, mask);
      writer->finish();
    };
    EXPECT_EQ(complaint(ErrorKind::kEnvironment, path, write), "cannot write: " + reason);
  }
  const auto picture_path = folder / "picture.png";
  EXPECT_EQ(complaint(ErrorKind::kEnvironment, picture_path, [&] { write_png(picture_path, picture); }), "cannot write: " + reason);
  EXPECT_EQ(complaint(ErrorKind::kEnvironment, picture_path, [&] { write_jpeg(picture_path, picture, 100); }), "cannot write: " + reason);
  const auto vectors_path = folder / "vectors.json";
  const auto write_vectors = [&](std::unique_ptr<MaskWriter> writer) {
    append_by_bands(*writer, mask);
    writer->finish();
  };
  const auto write_coco = [&] {
    write_vectors(create_coco_writer({.path = vectors_path, .image_file_name = "b", .width = 4000, .height = 3000, .class_names = kNames}));
  };
  const auto write_polygons = [&] { write_vectors(create_polygon_writer({.path = vectors_path, .width = 4000, .height = 3000})); };
  EXPECT_EQ(complaint(ErrorKind::kEnvironment, vectors_path, write_coco), "cannot write: " + reason);
  EXPECT_EQ(complaint(ErrorKind::kEnvironment, vectors_path, write_polygons), "cannot write: " + reason);
  // Here the class map fits beside, and the polygons do not.
  const ImageU8 small = make_noise(300, 200, 1);
  const auto write_small = [&] {
    const auto writer = create_polygon_writer({.path = vectors_path, .width = 300, .height = 200});
    append_by_bands(*writer, small);
    writer->finish();
  };
  EXPECT_EQ(complaint(ErrorKind::kEnvironment, vectors_path, write_small), "cannot write: " + reason);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(WriteMaskFailure, FullDiskLeavesNothingBehind) {
  const TemporaryFolder folder;
  if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=256k") != 0) {
    GTEST_SKIP() << "a small file system cannot be mounted here; FileSizeLimit below tests the same path";
  }
  expect_no_room(folder.path(), "No space left on device");
  EXPECT_EQ(::umount(folder.path().c_str()), 0);
}

TEST(WriteMaskFailure, FileSizeLimitLeavesNothingBehind) {
  const TemporaryFolder folder;
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 200 << 10, .rlim_max = old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  expect_no_room(folder.path(), "File too large");
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, old_handler);
}

TEST(WritePicture, PngKeepsEveryChannelCount) {
  const TemporaryFolder folder;
  for (const int channels : {1, 3, 4}) {
    const ImageU8 picture = make_noise(33, 21, channels);
    write_png(folder / "picture.png", picture);
    const auto image = open_image(folder / "picture.png");
    EXPECT_EQ(image->info().bands, channels);
    const ImageU8 rgb = image->read_rgb({0, 0, 33, 21});
    for (std::size_t i = 0; i < 33 * 21; ++i) {
      for (std::size_t c = 0; c < 3; ++c) {
        ASSERT_EQ(rgb.samples()[i * 3 + c], picture.samples()[i * static_cast<std::size_t>(channels) + (channels == 1 ? 0 : c)]);
      }
    }
  }
}

TEST(WriteOverlay, LargeImagesAreShrunkToWhatJpegHolds) {
  const TemporaryFolder folder;
  const auto path = folder / "wide_overlay.jpg";
  constexpr std::int64_t kWide = 131001;   // more than twice JPEG's limit: every third pixel
  const auto writer = create_overlay_writer({.path = path, .width = kWide, .height = 10, .quality = 100});
  EXPECT_EQ(writer->shrink_factor(), 3);
  ImageU8 rows(kWide, 5, 3);
  std::ranges::fill(rows.samples(), std::uint8_t{90});
  writer->append(rows);
  std::ranges::fill(rows.samples(), std::uint8_t{180});
  writer->append(rows);
  writer->finish();
  const auto image = open_image(path);
  EXPECT_EQ(image->info().width, 43667);
  EXPECT_EQ(image->info().height, 4);
  const ImageU8 column = image->read_rgb({43666, 0, 1, 4});
  // Rows 0-2; 3, 4 and 5: (90 + 90 + 180) / 3; 6-8; 9 alone. Grey survives JPEG at quality 100 up to the rounding of its DCT.
  for (const auto& [y, value] : {std::pair{0, 90}, {1, 120}, {2, 180}, {3, 180}}) EXPECT_NEAR(column.row(y)[0], value, 2) << y;
}

TEST(BlendOverlay, MixesByOpacityAndShowsTheImageWhereIgnored) {
  ImageU8 rgb(3, 1, 3), mask(3, 1, 1);
  std::ranges::fill(rgb.samples(), std::uint8_t{100});
  mask.samples()[0] = 1, mask.samples()[1] = 255, mask.samples()[2] = 0;
  const ImageU8 half = blend_overlay(rgb, mask, {{0, 0, 0}, {200, 100, 0}}, 0.5f, 255);
  const std::uint8_t expected[] = {150, 100, 50, 100, 100, 100, 50, 50, 50};
  EXPECT_TRUE(std::ranges::equal(half.samples(), expected));
  const ImageU8 none = blend_overlay(rgb, mask, {{0, 0, 0}, {200, 100, 0}}, 0.0f, 255);
  EXPECT_TRUE(same_pixels(none, rgb));
  const ImageU8 full = blend_overlay(rgb, mask, {{0, 0, 0}, {200, 100, 0}}, 1.0f, 255);
  EXPECT_EQ(full.samples()[0], 200);
}

TEST(Resize, AreaWhenShrinkingAndConstantsStayConstant) {
  ImageU8 image(4, 2, 1);
  for (std::size_t i = 0; i < 8; ++i) image.samples()[i] = static_cast<std::uint8_t>(i * 10);
  const ImageU8 shrunk = resize(image, 2, 1);   // means of 2x2
  EXPECT_EQ(shrunk.samples()[0], 25);
  EXPECT_EQ(shrunk.samples()[1], 45);
  ImageU8 flat(13, 7, 3);
  std::ranges::fill(flat.samples(), std::uint8_t{77});
  for (const auto& [width, height] : {std::pair<int, int>{31, 40}, {5, 40}, {31, 2}, {1, 1}}) {
    const ImageU8 other = resize(flat, width, height);
    EXPECT_EQ(other.width(), width);
    EXPECT_TRUE(std::ranges::all_of(other.samples(), [](int value) { return value == 77; }));
  }
}

}  // namespace
}  // namespace fovea::test
