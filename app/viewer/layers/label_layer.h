// A class map laid over the image: one index a pixel, a colour and an eye a class. Any size: drawn tile by tile like an image.
//
// auto map = std::make_shared<LabelMap>(LabelMap{.classes = class_image, .rect_level0 = {x, y, width, height}});
// workspace.layers.add(std::make_unique<LabelLayer>("segmentation", "Segmentation", map, entries, workspace.tiles()));
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "app/viewer/layers/tiled_layer.h"

namespace fovea {

struct LabelMap {
  ImageU8 classes;                       // [h, w, 1]
  RectD rect_level0;                     // what it covers; as many level-0 pixels as it has, or a multiple
};

struct LabelClass {
  std::string name;
  std::array<std::uint8_t, 3> colour{};
  bool visible = true;
};

class LabelLayer final : public TiledLayer {
 public:
  // entries: by index; indices beyond them are transparent.
  LabelLayer(std::string layer_id, std::string layer_name, std::shared_ptr<const LabelMap> map, std::vector<LabelClass> entries, TileServices services);

  std::vector<LabelClass> entries;       // colours and eyes may change at any time
  const LabelMap& map() const { return *map_; }

  std::string describe(Point image_point) const override;
  RectD bounds() const override { return map_->rect_level0; }
  bool show_controls() override;

 protected:
  void bind(const LayerFrame& frame) override;

 private:
  std::shared_ptr<const LabelMap> map_;
  gl::Texture palette_;
};

}  // namespace fovea
