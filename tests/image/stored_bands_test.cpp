#include "core/image/stored_bands.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/image/probability_writer.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

ImageU8 ramp(std::int64_t width, std::int64_t height, int channels, int classes) {
  ImageU8 image(width, height, channels);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t i = 0; i < width * channels; ++i) image.row(y)[i] = static_cast<std::uint8_t>((i / channels / 3 + y / 2 + 7 * (i % channels)) % classes);
  }
  return image;
}

void write_mask(const std::filesystem::path& path, MaskFormat format, const ImageU8& classes) {
  const auto writer = create_mask_writer({.path = path, .format = format, .width = classes.width(), .height = classes.height(),
                                          .palette = {{1, 2, 3}, {40, 50, 60}, {7, 8, 9}}, .class_names = {"land", "road", "water"}, .nodata = 255});
  writer->append(classes);
  writer->finish();
}

TEST(StoredBands, MasksKeepTheirIndicesColoursAndNames) {
  const test::TemporaryFolder folder;
  const ImageU8 classes = ramp(700, 530, 1, 3);
  for (const auto& [name, format] : {std::pair{"m.png", MaskFormat::kPng}, {"m.tif", MaskFormat::kTiff}}) {
    write_mask(folder / name, format, classes);
    StoredBands file(folder / name);
    EXPECT_EQ(file.info().width, 700);
    EXPECT_EQ(file.info().bands, 1);
    ASSERT_GE(file.info().palette.size(), 3u);
    EXPECT_EQ(file.info().palette[1], (Colour{40, 50, 60}));
    const ImageU8 part = file.read({13, 200, 300, 97}, 0, 0);
    for (std::int64_t y = 0; y < part.height(); ++y) ASSERT_TRUE(std::equal(part.row(y), part.row(y) + 300, classes.row(200 + y) + 13)) << name << y;
  }
  StoredBands tiff(folder / "m.tif");
  EXPECT_EQ(tiff.info().names, (std::vector<std::string>{"land", "road", "water"}));
  EXPECT_EQ(tiff.info().nodata, 255);
  ASSERT_GT(tiff.info().levels.size(), 1u);
  EXPECT_EQ(tiff.info().levels[1].width, 350);
}

TEST(StoredBands, OneClassOfProbabilitiesAtATime) {
  const test::TemporaryFolder folder;
  const ImageU8 values = ramp(300, 200, 5, 251);
  const auto writer = create_probability_writer({.path = folder / "p.tif", .width = 300, .height = 200, .class_names = {"a", "b", "c", "d", "e"}});
  writer->append(values);
  writer->finish();
  StoredBands file(folder / "p.tif");
  ASSERT_EQ(file.info().bands, 5);
  for (int band = 0; band < 5; ++band) {
    const ImageU8 one = file.read({0, 0, 300, 200}, 0, band);
    for (std::int64_t i = 0; i < 300 * 200; ++i) ASSERT_EQ(one.samples()[static_cast<std::size_t>(i)], values.samples()[static_cast<std::size_t>(5 * i + band)]);
  }
  // A third of them, picked and not made.
  const ImageU8 some = file.read_some({0, 0, 300, 200}, 0, 2, {100, 67});
  for (const std::uint8_t value : some.samples()) EXPECT_LT(value, 251);
}

TEST(StoredBands, OtherFilesAreRefusedByName) {
  const test::TemporaryFolder folder;
  write_jpeg(folder / "photo.jpg", ramp(32, 32, 3, 200));
  write_png(folder / "photo.png", ramp(32, 32, 3, 200));
  for (const char* name : {"photo.jpg", "photo.png", "missing.png"}) {
    try {
      StoredBands file(folder / name);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace fovea
