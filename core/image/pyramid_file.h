// The cache file of a pyramid: coarse levels of an image as a tiled TIFF with overviews.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>

#include "core/image/image.h"

namespace fovea {

// Samples of 8 or 16 bits, three bands, lossless. Written by bands of rows from top to bottom; whole or not at all.
// Errors of all: Error{kEnvironment} "PATH: cannot write: ...".
class PyramidFile {
 public:
  struct Options {
    std::filesystem::path path;
    std::int64_t width = 0, height = 0;
    int bits = 8;
    std::int64_t coarsest_side = 512;   // overviews are added until the longer side is at most this
  };
  explicit PyramidFile(const Options& options);
  ~PyramidFile();
  PyramidFile(const PyramidFile&) = delete;
  PyramidFile& operator=(const PyramidFile&) = delete;

  void append(const ImageU8& rows);    // [any height, width, 3], as many bits as the file
  void append(const ImageU16& rows);
  void finish(const std::stop_token& stop);   // overviews, then the file appears. Error{kCancelled}

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea
