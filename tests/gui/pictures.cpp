#include "tests/gui/pictures.h"

#include <cmath>
#include <filesystem>

#include "core/base/files.h"
#include "core/image/writers.h"
#include "tests/image/sample_files.h"

namespace fovea::gui {
namespace {

ImageU8 waves(std::int64_t width, std::int64_t height) {
  ImageU8 image(width, height, 3);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t i = 0; i < 3 * width; ++i) {
      const double wave = std::sin(static_cast<double>(i / 3 + 40 * (i % 3)) / 23.0) * std::cos(static_cast<double>(y) / 17.0);
      image.row(y)[i] = static_cast<std::uint8_t>(128 + 100 * wave);
    }
  }
  return image;
}

ImageU8 blocks(std::int64_t width, std::int64_t height) {
  ImageU8 image(width, height, 3);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const Rgb colour = block_colour(x / 100, y / 100);
      std::uint8_t* pixel = image.row(y) + 3 * x;
      pixel[0] = static_cast<std::uint8_t>(colour.red), pixel[1] = static_cast<std::uint8_t>(colour.green), pixel[2] = static_cast<std::uint8_t>(colour.blue);
    }
  }
  return image;
}

ImageU16 ramp(std::int64_t width, std::int64_t height, std::uint16_t top) {
  ImageU16 image(width, height, 1);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) image.row(y)[x] = static_cast<std::uint16_t>(x * top / (width - 1));
  }
  return image;
}

}  // namespace

Rgb block_colour(std::int64_t column, std::int64_t row) {
  return {static_cast<int>(40 + 20 * column), static_cast<int>(30 + 30 * row), static_cast<int>(250 - 10 * column - 10 * row)};
}

void write_pictures(const std::filesystem::path& folder) {
  write_png(folder / "waves.png", waves(320, 240));
  write_png(folder / "blocks.png", blocks(1000, 700));
  test::write_raster({.path = folder / "grey16.tif", .bits = 16}, ramp(300, 200, 999));
  const GeoReference half_a_metre{.geotransform = {{500000, 0.5, 0, 4600000, 0, -0.5}}, .projection_wkt = {}};
  test::write_raster({.path = folder / "map.tif", .options = {"TILED=YES", "BLOCKXSIZE=256", "BLOCKYSIZE=256"}, .overviews = {2}, .georeference = half_a_metre},
                     test::make_pattern(600, 400, 3, 8));
  test::write_bytes(folder / "garbage.png", "This is no image.\n");
  write_jpeg(folder / "whole.jpg", waves(640, 480));
  const std::string jpeg = read_text_file(folder / "whole.jpg");
  test::write_bytes(folder / "broken.jpg", jpeg.substr(0, jpeg.size() / 2));
}

}  // namespace fovea::gui
