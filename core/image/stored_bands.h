// Bands of an 8-bit raster as they are stored: class maps and probabilities, which are no colours.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/image/image_source.h"
#include "core/image/writers.h"

namespace fovea {

struct BandsInfo {
  std::int64_t width = 0, height = 0;
  int bands = 0;
  std::vector<ImageInfo::Level> levels;      // [0] is full resolution; overviews follow, each half as large
  std::vector<Colour> palette;               // of a single band; empty: none
  std::vector<std::string> names;            // of classes, as the writers of masks and probabilities store them; empty: none
  int nodata = -1;                           // an index that stands for nothing; -1: none
  GeoReference georeference;
};

// Not thread-safe: one object a thread. Palette PNG and TIFF, and TIFF of any number of bands. Errors: Error{kInput} "FILE: what was
// wrong", also for files of more than 8 bits or in a format without windows that has more than max_decoded_pixels.
class StoredBands {
 public:
  static constexpr std::int64_t kMaxDecodedPixels = std::int64_t{1} << 28;
  explicit StoredBands(const std::filesystem::path& path);
  ~StoredBands();
  const BandsInfo& info() const;
  // [rect.height, rect.width, 1] of a band (from 0) at a level; the window must lie inside the level.
  ImageU8 read(const Rect& rect_level, int level, int band);
  // The same shrunk to width x height samples: every so manieth one, none of them made.
  ImageU8 read_some(const Rect& rect_level, int level, int band, ImageInfo::Level size);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea
