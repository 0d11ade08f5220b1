// PNG through libpng, row by row: GDAL and OpenCV only encode whole images.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "core/image/image.h"
#include "core/image/writers.h"

namespace fovea {

// Encodes 8-bit rows as they come, in memory of a few rows. Errors: Error{kEnvironment} "TARGET: cannot write: ...".
class PngEncoder {
 public:
  static constexpr std::int64_t kMaxSide = 0x7fffffff;   // PNG specification, section 11.2.2

  struct Options {
    std::filesystem::path path;      // written in place
    std::filesystem::path target;    // named in messages
    std::int64_t width = 0, height = 0;
    int channels = 1;                // 1, 3 or 4
    std::vector<Colour> palette;     // not empty: the one channel holds indices into it, at most 256
    int transparent_index = -1;      // of the palette
  };
  explicit PngEncoder(const Options& options);
  ~PngEncoder();
  PngEncoder(const PngEncoder&) = delete;
  PngEncoder& operator=(const PngEncoder&) = delete;

  void append(const ImageU8& rows);   // [any height, width, channels]
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea
