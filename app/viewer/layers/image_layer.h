// The open image.
#pragma once

#include "app/viewer/layers/tiled_layer.h"
#include "core/image/image_source.h"

namespace fovea {

enum class Magnification { kNearest, kSmooth };   // of pixels beyond 1:1

struct ImageAppearance {
  float gamma = 1;
  bool red = true, green = true, blue = true;
  bool false_colour = false;             // the mean of the channels that are on, through the layer's colour table
  Magnification magnification = Magnification::kNearest;
  bool operator==(const ImageAppearance&) const = default;
};

class ImageLayer final : public TiledLayer {
 public:
  // Errors: as open_image(), and of the shaders.
  ImageLayer(const std::filesystem::path& path, const std::filesystem::path& cache_file, const TileServices& services);

  const ImageInfo& info() const { return info_; }
  ImageAppearance appearance;

  RectD bounds() const override { return {0, 0, static_cast<double>(info_.width), static_cast<double>(info_.height)}; }
  std::pair<float, float> value_limits() const override { return {0, 1}; }
  bool show_controls() override;

 protected:
  void bind(const LayerFrame& frame) override;
  GLint magnification() const override { return appearance.magnification == Magnification::kNearest ? GL_NEAREST : GL_LINEAR; }

 private:
  struct Opened;
  ImageLayer(Opened opened, const TileServices& services);
  ImageInfo info_;
};

}  // namespace fovea
