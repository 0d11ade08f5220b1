// Layers as rows of pixels at full resolution, for pictures larger than any screen.
#pragma once

#include <cstdint>

#include "core/image/image.h"

namespace fovea {

enum class Blend { kNormal, kMultiply, kScreen, kAdd };

// A layer's part in a picture of level-0 pixels, made from a copy of what it shows: the layer may change or go meanwhile. For one thread.
class LayerRows {
 public:
  virtual ~LayerRows() = default;
  // Lays the layer over rgb [h, w, 3], whose first pixel is the image's pixel (x, y). Errors: Error{kInput} from reading.
  virtual void paint(std::int64_t x, std::int64_t y, ImageU8& rgb) = 0;
};

// How a colour is laid over another, in 256ths, as the shaders do. weight: opacity, 0 ... 256.
class PixelBlender {
 public:
  PixelBlender(Blend blend, float opacity);
  std::uint32_t weight() const { return weight_; }
  // share: of the opacity, 0 ... 256.
  void lay(const std::uint8_t (&colour)[3], std::uint32_t share, std::uint8_t* below) const;

 private:
  Blend blend_;
  std::uint32_t weight_;
};

}  // namespace fovea
