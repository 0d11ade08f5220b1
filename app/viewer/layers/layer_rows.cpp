#include "app/viewer/layers/layer_rows.h"

#include <algorithm>
#include <cmath>

namespace fovea {

PixelBlender::PixelBlender(Blend blend, float opacity)
    : blend_(blend), weight_(static_cast<std::uint32_t>(std::lround(std::clamp(opacity, 0.0f, 1.0f) * 256))) {}

void PixelBlender::lay(const std::uint8_t (&colour)[3], std::uint32_t share, std::uint8_t* below) const {
  const std::uint32_t weight = weight_ * share / 256, rest = 256 - weight;
  for (int c = 0; c < 3; ++c) {
    const std::uint32_t over = colour[c], under = below[c];
    switch (blend_) {
      case Blend::kNormal: below[c] = static_cast<std::uint8_t>((under * rest + over * weight + 128) >> 8); break;   // as blend_overlay()
      case Blend::kMultiply: below[c] = static_cast<std::uint8_t>((under * (255 * rest + over * weight) + 255 * 128) / (255 * 256)); break;
      case Blend::kScreen: below[c] = static_cast<std::uint8_t>(under + ((255 - under) * over * weight + 255 * 128) / (255 * 256)); break;
      case Blend::kAdd: below[c] = static_cast<std::uint8_t>(std::min<std::uint32_t>(255, under + ((over * weight + 128) >> 8))); break;
    }
  }
}

}  // namespace fovea
