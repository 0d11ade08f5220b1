// Pixels in memory. No OpenCV type crosses the border of core/image, so that nobody else includes it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/error.h"

namespace fovea {

// A rectangle of pixels: x, y of its upper left corner, in the pixel space that the name of the variable says (rect_level0, ...).
struct Rect {
  std::int64_t x = 0, y = 0, width = 0, height = 0;
  std::int64_t area() const { return width * height; }
  bool operator==(const Rect&) const = default;
};

// Interleaved samples [height, width, channels], rows without padding. Move-only: copying pixels is always a decision (clone()).
template <class Sample>
class BasicImage {
 public:
  BasicImage() = default;
  BasicImage(std::int64_t width, std::int64_t height, int channels)
      : width_(width), height_(height), channels_(channels), samples_(static_cast<std::size_t>(width * height * channels)) {}
  BasicImage(BasicImage&&) noexcept = default;
  BasicImage& operator=(BasicImage&&) noexcept = default;
  BasicImage(const BasicImage&) = delete;
  BasicImage& operator=(const BasicImage&) = delete;
  BasicImage clone() const {
    BasicImage copy;
    copy.width_ = width_, copy.height_ = height_, copy.channels_ = channels_, copy.samples_ = samples_;
    return copy;
  }

  std::int64_t width() const noexcept { return width_; }
  std::int64_t height() const noexcept { return height_; }
  int channels() const noexcept { return channels_; }
  bool empty() const noexcept { return samples_.empty(); }
  std::span<Sample> samples() noexcept { return samples_; }
  std::span<const Sample> samples() const noexcept { return samples_; }
  Sample* row(std::int64_t y) noexcept { return samples_.data() + y * width_ * channels_; }
  const Sample* row(std::int64_t y) const noexcept { return samples_.data() + y * width_ * channels_; }

 private:
  std::int64_t width_ = 0, height_ = 0;
  int channels_ = 0;
  std::vector<Sample> samples_;
};

using ImageU8 = BasicImage<std::uint8_t>;
using ImageU16 = BasicImage<std::uint16_t>;

}  // namespace fovea
