// Colours on a coarse grid laid over the image: features as three principal components, a picture of something else.
#pragma once

#include "app/viewer/gl_objects.h"
#include "app/viewer/layers/layer.h"

namespace fovea {

class ColourLayer final : public Layer {
 public:
  ColourLayer(std::string layer_id, std::string layer_name) : Layer(LayerKind::kColours, std::move(layer_name)) {
    id = std::move(layer_id);
  }

  // colours: [rows, columns, 3 or 4], at most 16384 a side; placed by the outer edges of the grid.
  void set_colours(ImageU8 colours, const RectD& rect_level0);

  LayerProgress draw(const LayerFrame& frame) override;
  std::unique_ptr<LayerRows> rows() const override;
  std::string describe(Point image_point) const override;
  RectD bounds() const override { return rect_; }

 private:
  ImageU8 colours_;
  RectD rect_;
  gl::Texture texture_;
  bool uploaded_ = false;
};

}  // namespace fovea
