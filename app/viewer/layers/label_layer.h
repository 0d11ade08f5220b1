// A class map laid over the image: one index a pixel, a colour and an eye a class. Any size: drawn tile by tile like an image.
//
// workspace.layers.add(std::make_unique<LabelLayer>("segmentation", "Segmentation", map_in_memory(classes, {x, y, width, height}), entries,
//                                                   workspace.tiles));
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "app/viewer/canvas/label_tile_source.h"
#include "app/viewer/layers/tiled_layer.h"

namespace fovea {

struct LabelClass {
  std::string name;
  std::array<std::uint8_t, 3> colour{};
  bool visible = true;
  bool operator==(const LabelClass&) const = default;
};

class LabelLayer final : public TiledLayer {
 public:
  // entries: by index; indices beyond them are transparent.
  LabelLayer(std::string layer_id, std::string layer_name, ValueMap map, std::vector<LabelClass> entries, const TileServices& services);

  std::vector<LabelClass> entries;       // colours and eyes may change at any time
  bool classes_elsewhere = false;        // a panel of their own lists them
  const ValueMap& map() const { return map_; }

  std::string describe(Point image_point) const override;
  RectD bounds() const override { return map_.rect_level0; }
  std::unique_ptr<LayerRows> rows() const override;
  bool show_controls() override;

 protected:
  void bind(const LayerFrame& frame) override;

 private:
  ValueMap map_;
  gl::Texture palette_;
};

// Probabilities of one class, or other values of 8 bits for 0 ... 1, through the layer's colours.
class ProbabilityLayer final : public TiledLayer {
 public:
  ProbabilityLayer(std::string layer_id, std::string layer_name, ValueMap map, const TileServices& services);

  const ValueMap& map() const { return map_; }
  std::string describe(Point image_point) const override;
  RectD bounds() const override { return map_.rect_level0; }
  std::unique_ptr<LayerRows> rows() const override;
  std::pair<float, float> value_limits() const override { return {0, 1}; }

 protected:
  void bind(const LayerFrame& frame) override;

 private:
  ValueMap map_;
};

}  // namespace fovea
