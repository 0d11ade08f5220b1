// Image files that the tests make for themselves, and what they must read as.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/image/image.h"
#include "core/image/image_source.h"
#include "tests/support/temporary_folder.h"

namespace fovea::test {

// A pattern without symmetry, so that every turn, shift and swap of bands shows: [height, width, bands].
ImageU16 make_pattern(std::int64_t width, std::int64_t height, int bands, int bits);

struct RasterFile {
  std::filesystem::path path;
  std::string driver = "GTiff";              // GDAL's short name
  std::vector<std::string> options = {};          // creation options, "KEY=VALUE"
  int bits = 8;
  bool alpha_last = false;
  double nodata = -1;                        // below 0: none
  std::vector<std::vector<int>> palette = {};     // rows of red, green, blue, alpha
  std::vector<int> overviews = {};                // factors, nearest neighbour
  GeoReference georeference = {};
};
void write_raster(const RasterFile& file, const ImageU16& samples);

// What read_rgb must give of stored samples: grey repeated, the first three of four bands, n significant bits scaled to 8.
ImageU8 expected_rgb(const ImageU16& samples, int significant_bits);

// An uncompressed RGB TIFF, byte by byte: header fields are written as given, pixels only as many as there are.
struct HandMadeTiff {
  std::uint32_t width = 0, height = 0;
  std::uint16_t samples_per_pixel = 3, bits = 8, orientation = 1;
  std::vector<std::uint8_t> pixels = {};
};
std::string tiff_bytes(const HandMadeTiff& tiff);

// A 2-byte-aligned EXIF block (TIFF inside) that holds nothing but an orientation, put behind a JPEG's first marker.
std::string with_exif_orientation(const std::string& jpeg, int orientation);

void write_bytes(const std::filesystem::path& path, const std::string& bytes);

}  // namespace fovea::test

