// What the first bytes of an image file claim, read without any decoder.
#pragma once

#include <cstdint>
#include <filesystem>

namespace fovea {

struct FileHeader {
  const char* driver = nullptr;            // GDAL's short name of the one driver that may open the file
  std::int64_t file_bytes = 0;
  std::int64_t width = 0, height = 0;      // as stored, before orientation; -1 where the format's header was not read here
  int orientation = 1;                     // EXIF: 1 to 8
  double max_pixels_per_byte = 0;          // no file of this kind holds more, 0: unknown
  int jpeg_components = 0;
  int jpeg_bits = 0;
  int jpeg_transform_bytes_per_pixel = 0;  // coefficients that the decoder keeps of the whole image (progressive files), upper bound
};

// Errors: Error{kInput} for what is missing, no regular file, unreadable, empty or none of the readable formats.
FileHeader read_file_header(const std::filesystem::path& path);

}  // namespace fovea
