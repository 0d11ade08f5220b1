// A picture of colours that change smoothly, for tests that compare files of the viewer with those of a command.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/image/image.h"

namespace fovea::test {

inline ImageU8 waves(std::int64_t width, std::int64_t height) {
  ImageU8 image(width, height, 3);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double wave = std::sin(static_cast<double>(x + 40 * c) / 23.0) * std::cos(static_cast<double>(y) / 17.0);
        image.row(y)[3 * x + c] = static_cast<std::uint8_t>(128 + 100 * wave);
      }
    }
  }
  return image;
}

}  // namespace fovea::test
