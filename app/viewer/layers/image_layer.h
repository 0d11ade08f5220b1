// The open image.
#pragma once

#include <array>

#include "app/viewer/canvas/pyramid_builder.h"
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
  // cache_file: of its pyramid, built in the background if there is none. Images that only decode as a whole (JPEG, PNG) are kept in main
  // memory if they take at most half of the budget for tiles. Errors: as open_image(), and of the shaders.
  ImageLayer(const std::filesystem::path& path, const std::filesystem::path& cache_file, const TileServices& services);
  ~ImageLayer() override;

  const ImageInfo& info() const { return info_; }
  ImageAppearance appearance;

  RectD bounds() const override { return {0, 0, static_cast<double>(info_.width), static_cast<double>(info_.height)}; }
  bool show_controls() override;
  // The samples as stored: "12 140 7", of 1:1 pixels whatever the zoom.
  std::unique_ptr<LayerRows> rows() const override;
  std::string describe(Point image_point) const override;
  bool complete() const override { return TiledLayer::complete() && build_progress() < 0; }
  std::int64_t held_bytes() const override { return TiledLayer::held_bytes() + image_->kept_bytes(); }
  // What is in sight, at the resolution at which it is seen: counts of values from 0 to the white level in equal bins. Tiles of which main
  // memory holds nothing are left out. Every fourth pixel of every fourth row: a screen takes a millisecond.
  struct Histogram {
    static constexpr int kBins = 256;
    int channels = 0;                    // 1 of grey images, else 3
    std::array<std::array<double, kBins>, 3> counts{};
    // The share of white below which this share of all values lies, 0 to 1.
    double quantile(double share) const;
  };
  Histogram histogram() const;
  // Black and white where a few of these values lie beyond.
  static constexpr double kClipped = 0.002;          // share of all values, at either end
  void stretch_contrast(const Histogram& values);
  bool contrast_is_open = false;         // of more than 8 bits: to be stretched once all values are known, unless somebody chose it before
  // 0 to 1 while the pyramid is built; below 0: it is there.
  float build_progress() const { return builder_->progress(); }
  std::string take_build_error() { return builder_->take_error(); }
  // What a stored sample of 1 in LayerStyle::low and high stands for: 255, or 2^n - 1 for 16-bit files that use n bits.
  int white_level() const { return std::max(1, builder_->white_level()); }

 protected:
  void bind(const LayerFrame& frame) override;
  GLint magnification() const override { return appearance.magnification == Magnification::kNearest ? GL_NEAREST : GL_LINEAR; }

 private:
  struct Opened;
  ImageLayer(Opened opened, const TileServices& services);
  std::filesystem::path path_;
  ImageInfo info_;
  std::shared_ptr<PyramidImage> image_;
  std::shared_ptr<PyramidBuilder> builder_;
};

}  // namespace fovea
