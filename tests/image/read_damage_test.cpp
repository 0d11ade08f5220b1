// Bad input is one line that names the file and the fault, never grey rows, and costs neither memory nor time.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/image/image_source.h"
#include "core/image/writers.h"
#include "tests/image/expect_image.h"
#include "tests/image/sample_files.h"

namespace fovea::test {
namespace {

void read_whole(const std::filesystem::path& path, const ImageLimits& limits = {}) {
  const auto image = open_image(path, limits);
  image->read_rgb({0, 0, image->info().width, image->info().height});
}

std::string refusal(const std::filesystem::path& path, const ImageLimits& limits = {}) {
  return complaint(ErrorKind::kInput, path, [&] { read_whole(path, limits); });
}

TEST(ReadDamage, FilesThatAreNoImages) {
  const TemporaryFolder folder;
  EXPECT_EQ(refusal(folder / "missing.png"), "No such file or directory");
  EXPECT_EQ(refusal("/vsimem/scene.tif"), "No such file or directory");
  EXPECT_EQ(refusal(folder.path()), "a folder, expected an image file");
  const std::string not_an_image = "not an image that can be read (PNG, JPEG, TIFF, JPEG 2000, BMP, WebP)";
  write_bytes(folder / "text.png", "hello, I am a text\n");
  EXPECT_EQ(refusal(folder / "text.png"), not_an_image);
  write_bytes(folder / "virtual.tif", "<VRTDataset rasterXSize=\"1\" rasterYSize=\"1\"></VRTDataset>");
  EXPECT_EQ(refusal(folder / "virtual.tif"), not_an_image);
  write_bytes(folder / "empty.jpg", "");
  EXPECT_EQ(refusal(folder / "empty.jpg"), "empty file");
  ASSERT_EQ(::mkfifo((folder / "pipe.png").c_str(), 0600), 0);
  EXPECT_EQ(refusal(folder / "pipe.png"), "not a regular file");
}

TEST(ReadDamage, UnreadablePermissions) {
  const TemporaryFolder folder;
  write_bytes(folder / "secret.png", "x");
  std::filesystem::permissions(folder / "secret.png", std::filesystem::perms::none);
  const uid_t user = ::geteuid();
  constexpr uid_t kNobody = 65534;
  if (user == 0) {   // root reads everything
    ASSERT_EQ(::seteuid(kNobody), 0);
  }
  EXPECT_EQ(refusal(folder / "secret.png"), "Permission denied");
  ASSERT_EQ(::seteuid(user), 0);
}

// Cut at many places, among them inside the header and right before the end: an error each time, whatever the codec says.
TEST(ReadDamage, TruncatedAnywhere) {
  const TemporaryFolder folder;
  const struct { const char* driver; std::vector<std::string> options; double last_cut;
  } formats[] = {
      {"PNG", {}, 0.98},
      {"JPEG", {}, 0.97},
      {"JPEG", {"PROGRESSIVE=YES"}, 0.9},
      {"BMP", {}, 0.99},
      {"GTiff", {}, 0.98},
      {"GTiff", {"TILED=YES", "COMPRESS=DEFLATE"}, 0.98},
      {"GTiff", {"TILED=YES", "COMPRESS=JPEG"}, 0.98},
      {"WEBP", {"LOSSLESS=YES"}, 0.97},
      {"JP2OpenJPEG", {"REVERSIBLE=YES", "QUALITY=100"}, 0.97},
  };
  for (const auto& format : formats) {
    const auto path = folder / "image";
    write_raster({.path = path, .driver = format.driver, .options = format.options}, make_pattern(400, 300, 3, 8));
    const std::string whole = read_text_file(path);
    ASSERT_NO_THROW(read_whole(path)) << format.driver;
    for (const double share : {0.0002, 0.01, 0.1, 0.5, 0.8, 0.9, 0.97, 0.98, 0.99}) {
      if (share > format.last_cut) continue;
      write_bytes(path, whole.substr(0, std::max<std::size_t>(12, static_cast<std::size_t>(share * static_cast<double>(whole.size())))));
      const std::string message = refusal(path);
      EXPECT_FALSE(message.empty()) << format.driver << " cut at " << share;
      EXPECT_EQ(message.find("GDAL_"), std::string::npos) << message;   // what to set is not for who wants an image read
    }
  }
}

TEST(ReadDamage, FlippedBytesNeverCrash) {
  const TemporaryFolder folder;
  for (const char* driver : {"PNG", "JPEG", "GTiff", "BMP", "WEBP", "JP2OpenJPEG"}) {
    const auto path = folder / "image";
    write_raster({.path = path, .driver = driver}, make_pattern(40, 30, 3, 8));
    const std::string whole = read_text_file(path);
    for (std::size_t at = 0; at < whole.size(); at += 1 + whole.size() / 60) {
      std::string broken = whole;
      broken[at] = static_cast<char>(~broken[at]);
      write_bytes(path, broken);
      try {
        read_whole(path);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
      }
    }
  }
}

TEST(ReadDamage, HostileHeadersAreRefusedBeforeAnythingIsAllocated) {
  const TemporaryFolder folder;
  const auto path = folder / "scene.tif";
  write_bytes(path, tiff_bytes({.width = 0, .height = 0, .pixels = {}}));
  EXPECT_EQ(refusal(path), "0 x 0 pixels, expected at least 1 x 1");
  write_bytes(path, tiff_bytes({.width = 1u << 31, .height = 4, .pixels = {}}));
  EXPECT_EQ(refusal(path), "2147483648 x 4 pixels, at most 1048576 a side");
  write_bytes(path, tiff_bytes({.width = 1 << 20, .height = 1 << 20, .pixels = {}}));
  EXPECT_EQ(refusal(path), "1048576 x 1048576 pixels, at most 68719476736 in all");
  write_bytes(path, tiff_bytes({.width = 2, .height = 2, .bits = 32, .pixels = std::vector<std::uint8_t>(48)}));
  EXPECT_EQ(refusal(path), "UInt32 samples, expected unsigned 8 or 16 bits; gdal_translate -ot UInt16 -scale converts them");
  write_raster({.path = path}, make_pattern(9, 9, 17, 8));
  EXPECT_EQ(refusal(path), "17 bands, expected 1, 3 or 4");
  write_raster({.path = path}, make_pattern(9, 9, 2, 8));
  EXPECT_EQ(refusal(path), "2 bands, expected 1, 3 or 4");

  const auto png = folder / "scene.png";
  write_raster({.path = png, .driver = "PNG"}, make_pattern(9, 9, 3, 8));
  std::string bytes = read_text_file(png);
  bytes.replace(16, 8, std::string("\0\0\x9c\x40\0\0\x9c\x40", 8));   // 40,000 x 40,000 in some 300 bytes
  write_bytes(png, bytes);
  EXPECT_EQ(refusal(png), "truncated: " + std::to_string(bytes.size()) + " bytes cannot hold 40000 x 40000 pixels");
}

TEST(ReadDamage, LimitsHold) {
  const TemporaryFolder folder;
  const auto path = folder / "photo.png";
  write_raster({.path = path, .driver = "PNG"}, make_pattern(300, 200, 3, 8));
  EXPECT_EQ(refusal(path, {.max_side = 299}), "300 x 200 pixels, at most 299 a side");
  EXPECT_EQ(refusal(path, {.max_pixels = 59999}), "300 x 200 pixels, at most 59999 in all");
  EXPECT_TRUE(refusal(path, {.max_decoded_bytes = 300 * 200 * 3 - 1}).starts_with("300 x 200 pixels that only decode in one piece of "));
  EXPECT_NO_THROW(read_whole(path, {.max_decoded_bytes = 300 * 200 * 3}));
  const auto progressive = folder / "photo.jpg";   // its decoder keeps two bytes a coefficient besides
  write_raster({.path = progressive, .driver = "JPEG", .options = {"PROGRESSIVE=YES"}}, make_pattern(300, 200, 3, 8));
  EXPECT_TRUE(
      refusal(progressive, {.max_decoded_bytes = 300 * 200 * 9 - 1}).starts_with("300 x 200 pixels that only decode in one piece of "));
  EXPECT_NO_THROW(read_whole(progressive, {.max_decoded_bytes = 300 * 200 * 9}));
  const auto tiled = folder / "map.tif";   // a tile is decoded in one piece, however small the image
  write_raster({.path = tiled, .options = {"TILED=YES", "BLOCKXSIZE=32768", "BLOCKYSIZE=16400", "SPARSE_OK=TRUE"}}, ImageU16(30, 20, 1));
  EXPECT_EQ(refusal(tiled), "tiles of 32768 x 16400 pixels, at most 0.5 GiB in one piece");
}

// What cameras leave between segments is no damage.
TEST(ReadDamage, StrayBytesBeforeAMarkerAreForgiven) {
  const TemporaryFolder folder;
  const auto path = folder / "photo.jpg";
  write_raster({.path = path, .driver = "JPEG"}, make_pattern(40, 30, 3, 8));
  const std::string whole = read_text_file(path);
  write_bytes(path, whole.substr(0, whole.size() - 2) + "stray" + whole.substr(whole.size() - 2));
  EXPECT_NO_THROW(read_whole(path));
}

TEST(ReadIndexMask, RefusesWhatHoldsNoIndices) {
  const TemporaryFolder folder;
  const auto path = folder / "mask.png";
  const auto mask_refusal = [&] { return complaint(ErrorKind::kInput, path, [&] { read_index_mask(path); }); };
  write_raster({.path = path, .driver = "PNG"}, make_pattern(9, 9, 3, 8));
  EXPECT_EQ(mask_refusal(), "3 bands of 8 bits, expected an index mask: 1 band of 8 bits");
  write_raster({.path = path, .driver = "PNG", .bits = 16}, make_pattern(9, 9, 1, 16));
  EXPECT_EQ(mask_refusal(), "1 bands of 16 bits, expected an index mask: 1 band of 8 bits");
}

}  // namespace
}  // namespace fovea::test
