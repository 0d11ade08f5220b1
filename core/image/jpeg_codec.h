// JPEG through libjpeg, which reports damage that OpenCV paints grey, and which encodes row by row.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "core/image/image.h"

namespace fovea {

// Decodes the whole file to grey [H, W, 1] or RGB [H, W, 3] (YCbCr, CMYK and YCCK are converted; no colour management), as stored.
// Errors: Error{kInput} "PATH: truncated or damaged JPEG: ...": everything that libjpeg warns about but stray bytes between segments.
// shrink: 1, 2, 4 or 8, of each side, rounded up; blocks are averaged before they are transformed, which is several times faster at 8.
ImageU8 decode_jpeg(const std::filesystem::path& path, int shrink = 1);

// The same by rows from top to bottom, as they are decoded: take gets the next [any height, W, 1 or 3] and returns whether it wants more.
void decode_jpeg_rows(const std::filesystem::path& path, const std::function<bool(ImageU8 rows)>& take);

// Encodes rows as they come, 4:2:0, in memory of a few rows. Errors: Error{kEnvironment} "TARGET: cannot write: ...".
class JpegEncoder {
 public:
  static constexpr std::int64_t kMaxSide = 65500;   // JPEG_MAX_DIMENSION of libjpeg

  struct Options {
    std::filesystem::path path;     // written in place
    std::filesystem::path target;   // named in messages
    std::int64_t width = 0, height = 0;
    int channels = 3;               // 1 or 3
    int quality = 90;
  };
  explicit JpegEncoder(const Options& options);
  ~JpegEncoder();
  JpegEncoder(const JpegEncoder&) = delete;
  JpegEncoder& operator=(const JpegEncoder&) = delete;

  void append(const ImageU8& rows);   // [any height, width, channels]
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea
