// What the canvas shows, from bottom to top: a picture is a stack of layers over one image, all placed in that image's level-0 pixels.
//
// A new kind of layer: derive from Layer, draw() into the current framebuffer with the help of LayerPainter, describe() the value under
// the cursor for the status line; then LayerList::add() it. Ready-made: ImageLayer, LabelLayer (class maps), HeatLayer (float values).
#pragma once

#include <memory>
#include <string>

#include "app/viewer/canvas/camera.h"
#include "app/viewer/layers/colour_table.h"
#include "app/viewer/layers/layer_rows.h"
#include "core/image/image.h"

namespace fovea {

class LayerPainter;

// A rectangle in level-0 image pixels; may lie between pixels and reach over the image's edge.
struct RectD {
  double x = 0, y = 0, width = 0, height = 0;
  static RectD of(const Rect& pixels) {
    return {static_cast<double>(pixels.x), static_cast<double>(pixels.y), static_cast<double>(pixels.width), static_cast<double>(pixels.height)};
  }
  bool contains(Point p) const { return p.x >= x && p.y >= y && p.x < x + width && p.y < y + height; }
  bool operator==(const RectD&) const = default;
};

enum class LayerKind { kImage, kLabels, kHeat, kColours, kAnnotation };   // kAnnotation is reserved for labelling
// What the layers panel shows and the project file keeps.
struct LayerStyle {
  bool visible = true;
  float opacity = 1;
  Blend blend = Blend::kNormal;
  ColourTable colours = ColourTable::kViridis;
  float low = 0, high = 1;              // values shown as the ends of the colour table, or as black and white
  bool operator==(const LayerStyle&) const = default;
};

struct LayerFrame {
  const Camera& camera;
  LayerPainter& painter;
  double now_s = 0;
};

enum class LayerProgress { kSettled, kMoving };   // kMoving: draw again soon (loading, fading)

// Main thread only.
class Layer {
 public:
  Layer(LayerKind kind, std::string title) : name(std::move(title)), kind_(kind) {}
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  LayerKind kind() const { return kind_; }
  // Stable while the layer lives and over project files: "image", "attention", "segmentation". Set once, before LayerList::add().
  std::string id;
  std::string name;
  LayerStyle style;
  bool removable = false;                // a person may remove it; the image and what features keep up to date stay

  // Draws into the current framebuffer, whose viewport is the camera's canvas. Only called while visible.
  virtual LayerProgress draw(const LayerFrame& frame) = 0;
  // Draws with what is at hand, asks for nothing: for small copies of the picture beside the canvas.
  virtual void draw_resident(const LayerFrame& frame) { draw(frame); }
  // Everything that the last draw() needed was there, at full resolution.
  virtual bool complete() const { return true; }
  // The value at a place, for the status line: "12 140 7", "road", "0.031"; "" where there is none.
  virtual std::string describe(Point image_point) const { return {}; }
  // What it shows now as rows of pixels, for exports; nullptr: nothing. Errors: of opening its file again.
  virtual std::unique_ptr<LayerRows> rows() const { return nullptr; }
  // What the layer covers, for Zoom to layer.
  virtual RectD bounds() const = 0;
  // More controls in the layers panel, below the common ones. Returns whether something changed.
  virtual bool show_controls() { return false; }
  // Smallest and largest finite value, for the range's slider; equal: no range to choose.
  virtual std::pair<float, float> value_limits() const { return {0, 0}; }

 private:
  LayerKind kind_;
};

}  // namespace fovea
