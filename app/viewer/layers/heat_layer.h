// Float values on a coarse grid (one a token) laid over the image: attention, kept mass, entropy, a probability.
//
// auto& heat = workspace.layers.add(std::make_unique<HeatLayer>("attention", "Attention"));
// heat.set_values({.columns = grid_width, .rows = grid_height, .values = row, .rect_level0 = {x, y, width, height}});
#pragma once

#include <vector>

#include "app/viewer/gl_objects.h"
#include "app/viewer/layers/layer.h"

namespace fovea {

struct HeatRaster {
  std::int64_t columns = 0, rows = 0;
  std::vector<float> values;             // [rows, columns]; no number: transparent
  RectD rect_level0;                     // what the grid covers, its outer edges
};

enum class HeatAlpha { kFlat, kByValue };          // kByValue: low values are transparent

class HeatLayer final : public Layer {
 public:
  HeatLayer(std::string layer_id, std::string layer_name);

  // Uploaded with the next draw(): a microsecond a thousand values. At most 16384 a side; Error{kContract} beyond.
  void set_values(HeatRaster raster);
  void clear() { set_values({}); }
  const HeatRaster& raster() const { return raster_; }
  // Beneath it values are not shown at all (a mass threshold); -infinity: all are shown.
  float threshold = -std::numeric_limits<float>::infinity();
  HeatAlpha alpha = HeatAlpha::kFlat;
  // The rest of the opacity stays where values are low: seen where the map ends, and the image through it.
  static constexpr float kAlphaByValue = 0.75f;
  bool smooth = false;                   // interpolate between grid cells: prettier, and not what was computed

  LayerProgress draw(const LayerFrame& frame) override;
  std::unique_ptr<LayerRows> rows() const override;
  std::string describe(Point image_point) const override;
  RectD bounds() const override { return raster_.rect_level0; }
  std::pair<float, float> value_limits() const override { return limits_; }
  bool show_controls() override;

 private:
  void upload();
  HeatRaster raster_;
  std::pair<float, float> limits_{0, 0};
  gl::Texture texture_;
  bool uploaded_ = false;
};

}  // namespace fovea
