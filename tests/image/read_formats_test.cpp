// Every format, sample size, number of bands and layout reads as what was written, whole, by windows and by levels.
#include <gtest/gtest.h>
#include <jpeglib.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

#include "core/base/files.h"
#include "core/image/gdal_support.h"
#include "core/image/image_source.h"
#include "core/image/writers.h"
#include "tests/image/expect_image.h"
#include "tests/image/sample_files.h"

namespace fovea::test {
namespace {

constexpr std::int64_t kWidth = 299, kHeight = 211;   // no multiple of a tile, an MCU or a strip
constexpr Rect kWhole{0, 0, kWidth, kHeight};
const std::vector<Rect> kWindows = {
    {0, 0, 1, 1}, {kWidth - 1, kHeight - 1, 1, 1}, {100, 50, 77, 103}, {0, 127, kWidth, 2}, {255, 0, 2, kHeight}};

void expect_reads_as(const std::filesystem::path& path, const ImageU8& expected) {
  const auto image = open_image(path);
  EXPECT_EQ(image->info().width, expected.width());
  EXPECT_EQ(image->info().height, expected.height());
  // Windows before the whole, last first: the order must not matter.
  for (auto window = kWindows.rbegin(); window != kWindows.rend(); ++window) {
    EXPECT_TRUE(same_pixels(image->read_rgb(*window), crop_of(expected, *window))) << path;
  }
  EXPECT_TRUE(same_pixels(image->read_rgb(kWhole), expected)) << path;
}

struct Layout {
  const char* name;
  std::string driver;
  std::vector<std::string> options;
  bool windowed;
};

const Layout kLayouts[] = {
    {"Striped", "GTiff", {}, true},
    {"OneStrip", "GTiff", {"COMPRESS=LZW", "BLOCKYSIZE=211"}, true},
    {"Planar", "GTiff", {"INTERLEAVE=BAND", "COMPRESS=DEFLATE", "PREDICTOR=2"}, true},
    {"Tiled", "GTiff", {"TILED=YES", "BLOCKXSIZE=128", "BLOCKYSIZE=64", "COMPRESS=ZSTD"}, true},
    {"BigTiff", "GTiff", {"BIGTIFF=YES", "TILED=YES", "COMPRESS=PACKBITS"}, true},
    {"BigEndian", "GTiff", {"ENDIANNESS=BIG"}, true},
    {"CloudOptimised", "COG", {"BLOCKSIZE=128"}, true},
    {"Png", "PNG", {}, false},
    {"Jpeg2000", "JP2OpenJPEG", {"CODEC=JP2", "QUALITY=100", "REVERSIBLE=YES", "YCBCR420=NO"}, true},
    {"Bmp", "BMP", {}, true},
    {"WebP", "WEBP", {"LOSSLESS=YES", "EXACT=1"}, false},
};

struct Case {
  Layout layout;
  int bands, bits;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const auto& layout : kLayouts) {
    for (const int bands : {1, 3, 4}) {
      for (const int bits : {8, 16}) {
        const bool no_such_bmp = layout.driver == "BMP" && (bits != 8 || bands == 4),
                   no_such_webp = layout.driver == "WEBP" && (bits != 8 || bands == 1);
        if (!no_such_bmp && !no_such_webp) cases.push_back({layout, bands, bits});
      }
    }
  }
  return cases;
}

class ReadLayout : public ::testing::TestWithParam<Case> {};

TEST_P(ReadLayout, ReadsWhatWasWritten) {
  const auto& [layout, bands, bits] = GetParam();
  const TemporaryFolder folder;
  const auto path = folder / "image.bin";   // the extension must not matter
  const ImageU16 samples = make_pattern(kWidth, kHeight, bands, bits);
  write_raster({.path = path, .driver = layout.driver, .options = layout.options, .bits = bits, .alpha_last = bands == 4}, samples);
  const auto info = open_image(path)->info();
  EXPECT_EQ(info.format, layout.driver == "COG" ? "GTiff" : layout.driver);
  EXPECT_EQ(info.bands, layout.driver == "BMP" ? 3 : bands);   // a grey BMP is a palette
  EXPECT_EQ(info.bits, bits);
  EXPECT_EQ(info.has_alpha, bands == 4);
  EXPECT_EQ(info.windowed, layout.windowed);
  expect_reads_as(path, expected_rgb(samples, bits));
}

INSTANTIATE_TEST_SUITE_P(Formats, ReadLayout, ::testing::ValuesIn(all_cases()), [](const auto& test) {
  return std::string(test.param.layout.name) + "Bands" + std::to_string(test.param.bands) + "Bits" + std::to_string(test.param.bits);
});

// JPEG loses, so the oracle is GDAL's decoder of the same file.
ImageU8 decoded_by_gdal(const std::filesystem::path& path) {
  const auto dataset = gdal::open(path, "JPEG");
  const int bands = dataset->GetRasterCount();
  ImageU8 image(dataset->GetRasterXSize(), dataset->GetRasterYSize(), 3);
  for (int c = 0; c < 3; ++c) {
    const auto width = static_cast<int>(image.width()), height = static_cast<int>(image.height());
    EXPECT_EQ(dataset->GetRasterBand(bands == 1 ? 1 : c + 1)
                  ->RasterIO(GF_Read, 0, 0, width, height, image.samples().data() + c, width, height, GDT_Byte, 3, 3 * width, nullptr),
              CE_None);
  }
  return image;
}

TEST(ReadJpeg, GreyColourAndProgressive) {
  const TemporaryFolder folder;
  for (const int bands : {1, 3}) {
    for (const char* progressive : {"PROGRESSIVE=NO", "PROGRESSIVE=YES"}) {
      const auto path = folder / "image.jpg";
      write_raster({.path = path, .driver = "JPEG", .options = {progressive, "QUALITY=95"}}, make_pattern(kWidth, kHeight, bands, 8));
      EXPECT_EQ(open_image(path)->info().bands, bands);
      expect_reads_as(path, decoded_by_gdal(path));
    }
  }
}

// Inks without chroma subsampling at quality 100: Adobe's inverted CMYK of pure colours.
TEST(ReadJpeg, CmykBecomesRgb) {
  const TemporaryFolder folder;
  const auto path = folder / "inks.jpg";
  std::FILE* file = std::fopen(path.c_str(), "wb");
  ASSERT_NE(file, nullptr);
  jpeg_compress_struct codec{};
  jpeg_error_mgr errors{};
  codec.err = jpeg_std_error(&errors);
  jpeg_create_compress(&codec);
  jpeg_stdio_dest(&codec, file);
  codec.image_width = codec.image_height = 16;
  codec.input_components = 4;
  codec.in_color_space = JCS_CMYK;
  jpeg_set_defaults(&codec);
  codec.write_Adobe_marker = TRUE;
  jpeg_set_quality(&codec, 100, TRUE);
  jpeg_start_compress(&codec, TRUE);
  std::vector<std::uint8_t> row;
  for (int x = 0; x < 16; ++x) row.insert(row.end(), {255, 0, 255, 255});   // inverted: no cyan, full magenta, no yellow, no key
  JSAMPROW rows[] = {row.data()};
  for (int y = 0; y < 16; ++y) jpeg_write_scanlines(&codec, rows, 1);
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  std::fclose(file);
  const auto image = open_image(path);
  EXPECT_EQ(image->info().bands, 4);
  const ImageU8 rgb = image->read_rgb({3, 3, 1, 1});
  EXPECT_EQ(rgb.row(0)[0], 255);
  EXPECT_EQ(rgb.row(0)[1], 0);
  EXPECT_EQ(rgb.row(0)[2], 255);
}

TEST(ReadTiff, JpegCompressedTilesAndCmyk) {
  const TemporaryFolder folder;
  const auto path = folder / "image.tif";
  const ImageU16 grey = make_pattern(kWidth, kHeight, 1, 8);
  write_raster({.path = path, .options = {"TILED=YES", "COMPRESS=JPEG", "JPEG_QUALITY=100"}}, grey);
  const auto image = open_image(path);
  EXPECT_TRUE(same_pixels(crop_of(image->read_rgb(kWhole), kWindows[2]), image->read_rgb(kWindows[2])));
  ImageU16 inks(8, 8, 4);
  for (std::size_t i = 0; i < inks.samples().size(); i += 4) inks.samples()[i + 1] = 255;   // magenta
  write_raster({.path = path, .options = {"PHOTOMETRIC=CMYK"}}, inks);
  const ImageU8 rgb = open_image(path)->read_rgb({1, 1, 1, 1});
  EXPECT_EQ(rgb.row(0)[0], 255);
  EXPECT_EQ(rgb.row(0)[1], 0);
  EXPECT_EQ(rgb.row(0)[2], 255);
}

TEST(ReadPalette, ColoursAreResolvedAndTransparentOnesAreNotValid) {
  const TemporaryFolder folder;
  const std::vector<std::vector<int>> palette = {{10, 20, 30, 255}, {200, 100, 0, 255}, {1, 2, 3, 0}};
  ImageU16 indices(kWidth, kHeight, 1);
  for (std::size_t i = 0; i < indices.samples().size(); ++i) indices.samples()[i] = static_cast<std::uint16_t>(i % 3);
  for (const char* driver : {"PNG", "GTiff"}) {
    const bool keeps_alpha = std::string(driver) == "PNG";   // a TIFF's colour map has none
    const auto path = folder / "palette";
    write_raster({.path = path, .driver = driver, .palette = palette}, indices);
    const auto image = open_image(path);
    EXPECT_EQ(image->info().bands, 3);
    EXPECT_EQ(image->info().has_alpha, keeps_alpha) << driver;
    const ImageU8 rgb = image->read_rgb(kWhole), valid = image->read_valid(kWhole);
    for (std::size_t i = 0; i < indices.samples().size(); i += 997) {
      const auto& colour = palette[indices.samples()[i]];
      for (std::size_t c = 0; c < 3; ++c) ASSERT_EQ(rgb.samples()[i * 3 + c], colour[c]) << driver;
      ASSERT_EQ(valid.samples()[i], keeps_alpha && indices.samples()[i] == 2 ? 0 : 255) << driver;
    }
  }
}

TEST(ReadValid, AlphaAndNodata) {
  const TemporaryFolder folder;
  for (const char* driver : {"PNG", "GTiff"}) {
    for (const int bands : {2, 4}) {
      const auto path = folder / "alpha";
      const ImageU16 samples = make_pattern(kWidth, kHeight, bands, 8);
      write_raster({.path = path, .driver = driver, .options = {}, .alpha_last = true}, samples);
      const auto image = open_image(path);
      EXPECT_TRUE(image->info().has_alpha);
      const ImageU8 valid = image->read_valid(kWindows[2]);
      for (std::int64_t y = 0; y < valid.height(); ++y) {
        for (std::int64_t x = 0; x < valid.width(); ++x) {
          const int alpha = samples.row(kWindows[2].y + y)[(kWindows[2].x + x) * bands + bands - 1];
          ASSERT_EQ(valid.row(y)[x], alpha == 0 ? 0 : 255) << driver;
        }
      }
    }
  }
  const auto path = folder / "nodata.tif";
  ImageU16 samples = make_pattern(kWidth, kHeight, 3, 8);
  const auto pixel = [&](std::int64_t x) { return samples.row(5) + x * 3; };
  std::fill_n(pixel(10), 3, std::uint16_t{77});           // every band: no data
  pixel(11)[0] = pixel(11)[1] = 77, pixel(11)[2] = 78;    // two of three: data
  write_raster({.path = path, .nodata = 77}, samples);
  const auto image = open_image(path);
  EXPECT_EQ(image->info().nodata, 77);
  const ImageU8 valid = image->read_valid({9, 5, 3, 1});
  EXPECT_EQ(valid.row(0)[1], 0);
  EXPECT_EQ(valid.row(0)[2], 255);
}

TEST(ReadValid, AlphaCountsBesideNodata) {
  const TemporaryFolder folder;
  const auto path = folder / "both.tif";
  ImageU16 samples(3, 1, 4);
  const std::uint16_t values[] = {9, 9, 9, 255, 10, 9, 9, 0, 10, 9, 9, 1};   // nodata; transparent; data
  std::ranges::copy(values, samples.samples().begin());
  write_raster({.path = path, .alpha_last = true, .nodata = 9}, samples);
  const ImageU8 valid = open_image(path)->read_valid({0, 0, 3, 1});
  EXPECT_EQ(valid.row(0)[0], 0);
  EXPECT_EQ(valid.row(0)[1], 0);
  EXPECT_EQ(valid.row(0)[2], 255);
}

TEST(ReadLevels, OverviewsBesideTheFileCount) {
  const TemporaryFolder folder;
  const auto path = folder / "large.tif";
  write_raster({.path = path}, make_pattern(512, 256, 3, 8));
  {
    const gdal::DatasetPtr read_only(GDALDataset::Open(path.c_str(), GDAL_OF_RASTER | GDAL_OF_READONLY));
    int factors[] = {4};
    ASSERT_EQ(read_only->BuildOverviews("NEAREST", 1, factors, 0, nullptr, nullptr, nullptr, nullptr), CE_None);
  }
  ASSERT_TRUE(std::filesystem::exists(folder / "large.tif.ovr"));
  const auto image = open_image(path);
  ASSERT_EQ(image->info().levels.size(), 2u);
  const ImageU8 level = image->read_rgb({0, 0, 128, 64}, 1);
  EXPECT_TRUE(same_pixels(image->read_rgb({30, 20, 40, 30}, 1), crop_of(level, {30, 20, 40, 30})));
}

TEST(ReadLevels, OverviewsAreLevels) {
  const TemporaryFolder folder;
  const auto path = folder / "levels.tif";
  const ImageU16 samples = make_pattern(512, 256, 3, 8);
  write_raster({.path = path, .options = {"TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64"}, .overviews = {2, 4}}, samples);
  const auto image = open_image(path);
  ASSERT_EQ(image->info().levels.size(), 3u);
  EXPECT_EQ(image->info().levels[2].width, 128);
  EXPECT_EQ(image->info().levels[2].height, 64);
  const ImageU8 level = image->read_rgb({0, 0, 128, 64}, 2);
  EXPECT_TRUE(same_pixels(image->read_rgb({30, 20, 40, 30}, 2), crop_of(level, {30, 20, 40, 30})));
  // Nearest neighbour: every pixel of the level is one of its 4x4 pixels below.
  const ImageU8 full = image->read_rgb({0, 0, 512, 256});
  for (std::int64_t y = 0; y < 64; y += 9) {
    for (std::int64_t x = 0; x < 128; x += 7) {
      bool found = false;
      for (std::int64_t k = 0; k < 16; ++k)
        found |= std::equal(level.row(y) + x * 3, level.row(y) + x * 3 + 3, full.row(y * 4 + k / 4) + (x * 4 + k % 4) * 3);
      EXPECT_TRUE(found) << x << ", " << y;
    }
  }
  EXPECT_EQ(image->read_valid({0, 0, 128, 64}, 1).row(0)[0], 255);
  EXPECT_THROW(image->read_rgb({0, 0, 129, 64}, 2), Error);
  EXPECT_THROW(image->read_rgb({0, 0, 1, 1}, 3), Error);
}

// The range is the file's: 12-bit data in 16-bit samples fill 8 bits, whatever the window.
TEST(Read16Bits, RangeIsTheSmallestPowerOfTwoThatHoldsTheData) {
  const TemporaryFolder folder;
  for (const int bits : {8, 11, 12, 14, 16}) {
    for (const char* driver : {"PNG", "GTiff"}) {
      const auto path = folder / "sixteen";
      const ImageU16 samples = make_pattern(kWidth, kHeight, 3, bits);
      write_raster({.path = path, .driver = driver, .bits = 16}, samples);
      expect_reads_as(path, expected_rgb(samples, bits));
    }
  }
}

TEST(ReadFewBits, FillEightBits) {
  const TemporaryFolder folder;
  for (const char* driver : {"PNG", "GTiff"}) {
    for (const int bits : {1, 2, 4}) {
      ImageU16 samples(kWidth, kHeight, 1);
      for (std::size_t i = 0; i < samples.samples().size(); ++i)
        samples.samples()[i] = static_cast<std::uint16_t>(i * 7 / 3 % (1u << bits));
      const auto path = folder / "few";
      write_raster({.path = path, .driver = driver, .options = {"NBITS=" + std::to_string(bits)}}, samples);
      expect_reads_as(path, expected_rgb(samples, bits));
    }
  }
}

// One object a thread: errors, blocks and orientation of one must not reach another.
TEST(ReadThreads, ObjectsOfSeveralThreadsDoNotDisturbEachOther) {
  const TemporaryFolder folder;
  const auto good = folder / "good.tif", bad = folder / "bad.tif";
  const ImageU16 samples = make_pattern(kWidth, kHeight, 3, 8);
  write_raster({.path = good, .options = {"TILED=YES", "COMPRESS=DEFLATE", "BLOCKXSIZE=64", "BLOCKYSIZE=64"}}, samples);
  write_bytes(bad, read_text_file(good).substr(0, std::filesystem::file_size(good) / 2));
  const ImageU8 expected = expected_rgb(samples, 8);
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 20; ++i) {
          try {
            const auto image = open_image(t % 2 ? bad : good);
            const bool same = std::ranges::equal(image->read_rgb(kWhole).samples(), expected.samples());
            if (t % 2 || !same) ++wrong;
          } catch (const Error& error) {
            if (t % 2 == 0 || !std::string_view(error.what()).starts_with(bad.string())) ++wrong;
          }
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Read16Bits, DeclaredBitsAndNodataDecide) {
  const TemporaryFolder folder;
  const auto path = folder / "sixteen.tif";
  const ImageU16 dark = make_pattern(kWidth, kHeight, 1, 9);
  write_raster({.path = path, .options = {"NBITS=12"}, .bits = 16}, dark);
  expect_reads_as(path, expected_rgb(dark, 12));
  ImageU16 with_gaps = make_pattern(kWidth, kHeight, 1, 10);
  for (std::size_t i = 0; i < with_gaps.samples().size(); i += 3) with_gaps.samples()[i] = 65535;
  write_raster({.path = path, .bits = 16, .nodata = 65535}, with_gaps);
  const ImageU8 rgb = open_image(path)->read_rgb({1, 0, 2, 1});
  EXPECT_TRUE(same_pixels(rgb, crop_of(expected_rgb(with_gaps, 10), {1, 0, 2, 1})));
}

TEST(ReadGeoreference, IsCarriedExactly) {
  const TemporaryFolder folder;
  const auto path = folder / "map.tif";
  const GeoReference utm{.geotransform = std::array{500000.1, 0.3, 0.0, 4649776.7, 0.0, -0.3}, .projection_wkt = "EPSG"};
  OGRSpatialReference reference;
  ASSERT_EQ(reference.importFromEPSG(32633), OGRERR_NONE);
  char* text = nullptr;
  const char* const options[] = {"FORMAT=WKT2_2019", nullptr};
  reference.exportToWkt(&text, options);
  GeoReference expected = utm;
  expected.projection_wkt = text;
  CPLFree(text);
  write_raster({.path = path, .georeference = expected}, make_pattern(20, 10, 3, 8));
  const auto info = open_image(path)->info();
  EXPECT_EQ(info.georeference.geotransform, expected.geotransform);
  EXPECT_EQ(info.georeference.projection_wkt, expected.projection_wkt);
}

TEST(ReadSidecars, OnlyOverviewsAndWorldFilesCount) {
  const TemporaryFolder folder;
  const auto path = folder / "photo.png";
  write_raster({.path = path, .driver = "PNG"}, make_pattern(20, 10, 3, 8));
  write_bytes(folder / "photo.png.aux.xml",
              "<PAMDataset><PAMRasterBand band=\"1\"><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>");
  write_bytes(folder / "photo.pgw", "0.5\n0\n0\n-0.5\n100.25\n200.75\n");
  const auto info = open_image(path)->info();
  EXPECT_FALSE(info.nodata.has_value());
  EXPECT_EQ(info.georeference.geotransform, (std::array{100.0, 0.5, 0.0, 201.0, 0.0, -0.5}));
}

TEST(HasImageExtension, KnowsTheFormatsInAnyCase) {
  for (const char* name : {"a.png", "a.JPG", "b/c.Jpeg", "x.tif", "x.TIFF", "x.btf", "x.jp2", "x.j2k", "x.bmp", "x.webp"})
    EXPECT_TRUE(has_image_extension(name));
  for (const char* name : {"a", "png", "a.txt", "a.tif.aux.xml", "a.vrt", "a.png/b", ".png"})
    EXPECT_FALSE(has_image_extension(name)) << name;
}

}  // namespace
}  // namespace fovea::test
