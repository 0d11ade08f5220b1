// Reading images of any size by windows.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/image/image.h"

namespace fovea {

// Where an image lies on the earth, carried from input to output untouched.
struct GeoReference {
  std::optional<std::array<double, 6>> geotransform;   // GDAL's affine order
  std::string projection_wkt;                          // empty: none
  bool operator==(const GeoReference&) const = default;
};

struct ImageInfo {
  std::int64_t width = 0, height = 0;   // pixels of level 0, after EXIF orientation
  int bands = 0;                        // as stored: 1, 2 (grey and alpha), 3 or 4; palette images count as 3
  int bits = 0;                         // a sample: 8 or 16
  bool has_alpha = false;
  std::optional<double> nodata;
  std::string format;                   // "PNG", "JPEG", "GTiff", ... (GDAL's short names)
  GeoReference georeference;
  struct Level { std::int64_t width, height; };
  std::vector<Level> levels;            // [0] is full resolution; overviews follow, each smaller
  bool windowed = false;                // a window is read without decoding the whole file
  // What is decoded at a time where windowed, in pixels of level 0; 0: not known.
  std::int64_t block_width = 0, block_height = 0;
};

// Whether pixels of this image can be without data (ImageSource::read_valid).
inline bool may_lack_data(const ImageInfo& info) { return info.has_alpha || info.nodata.has_value(); }

// Limits checked against the header, before anything is allocated.
struct ImageLimits {
  std::int64_t max_side = 1 << 20;                      // pixels
  std::int64_t max_pixels = std::int64_t{1} << 36;      // 64 gigapixels
  std::int64_t max_decoded_bytes = std::int64_t{8} << 30;   // for formats that only decode as a whole (JPEG, PNG)
  // Such an image is kept after its first read if it has at most this many bytes; else every read decodes again, so that only reading it
  // once from top to bottom makes sense.
  std::int64_t max_kept_bytes = std::int64_t{8} << 30;
};

// An open image. Not thread-safe: one object a thread.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  virtual const ImageInfo& info() const = 0;

  // 8-bit RGB of a window [rect.height, rect.width, 3] of a level. The window must lie inside the level. Grey is repeated,
  // palettes are resolved, alpha is dropped (see read_valid); 16 bits are scaled to 8 by the file's fixed range (docs/formats.md), the
  // same for every window of the file, so that windows agree. Errors: Error{kInput} "FILE: what was wrong".
  virtual ImageU8 read_rgb(Rect rect, int level = 0) = 0;

  // The samples of a 16-bit image as stored, [rect.height, rect.width, 3], grey repeated; of an 8-bit image what read_rgb() gives, times 257.
  // Here and not in a source file: builds without the image libraries have sources of their own.
  virtual ImageU16 read_rgb16(Rect rect, int level = 0) {
    const ImageU8 narrow = read_rgb(rect, level);
    ImageU16 wide(narrow.width(), narrow.height(), narrow.channels());
    std::ranges::transform(narrow.samples(), wide.samples().begin(), [](std::uint8_t value) { return static_cast<std::uint16_t>(value * 257); });
    return wide;
  }

  // The largest value that the file's fixed range holds: 255, or 2^n - 1 of 16-bit samples that use n bits.
  virtual int white_level() { return 255; }

  // 255 where the image has data, 0 where alpha is 0 or every band equals nodata: [rect.height, rect.width, 1].
  virtual ImageU8 read_valid(Rect rect, int level = 0) = 0;

  // read_rgb() of level 0 into memory that is there, rect.height rows of rect.width * 3 bytes.
  virtual void read_rgb_into(Rect rect, std::uint8_t* rgb) { std::ranges::copy(read_rgb(rect).samples(), rgb); }

  // All rows of level 0 from top to bottom, handed out as they are decoded: rgb [rows, width, 3] and valid
  // [rows, width, 1], empty where all pixels have data. A file that only decodes as a whole is decoded once and not kept. take returns whether
  // it wants more.
  using RowTaker = std::function<bool(ImageU8 rgb, ImageU8 valid)>;
  virtual void read_rows(const RowTaker& take) {
    constexpr std::int64_t kRows = 512;
    for (std::int64_t y = 0; y < info().height; y += kRows) {
      const Rect rows{0, y, info().width, std::min(kRows, info().height - y)};
      ImageU8 rgb = read_rgb(rows);
      if (!take(std::move(rgb), may_lack_data(info()) ? read_valid(rows) : ImageU8())) return;
    }
  }
};

// Opens a file by content, not by extension (docs/formats.md). Error{kInput}: not an image of an allowed format, limits exceeded,
// 0 pixels, a number of bands or bits that is not supported, damaged, unreadable. Only the header is read: damage behind it is an error of
// the read that meets it. Formats without windows are decoded whole by the first read and kept.
std::unique_ptr<ImageSource> open_image(const std::filesystem::path& path, const ImageLimits& limits = {});

// Whether a folder walk takes this file: its extension (any case) is one of the readable formats'.
bool has_image_extension(const std::filesystem::path& path);
// ".png", ".jpg", ...
std::vector<std::string> image_extensions();

}  // namespace fovea
