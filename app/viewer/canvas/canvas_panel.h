// The panel that shows the image: draws it off screen and turns the mouse and keys into camera movements.
#pragma once

#include <imgui.h>

#include "app/viewer/canvas/camera.h"
#include "app/viewer/canvas/image_layer.h"
#include "app/viewer/canvas/offscreen.h"

namespace fovea {

struct CanvasState {
  bool hovered = false;
  Point cursor_image;                 // level-0 pixels, where hovered
  bool needs_frame = false;           // something is still moving or fading
};

class CanvasPanel {
 public:
  Camera& camera() { return camera_; }
  const Offscreen& picture() const { return picture_; }

  // Inside an ImGui window: fills what is left of it. layer may be null (nothing open).
  CanvasState show(ImageLayer* layer, const ImageAppearance& appearance, double now_s, double elapsed_s);

 private:
  void handle_mouse(ImVec2 origin, float pixels_a_unit);

  Camera camera_;
  Offscreen picture_;
};

}  // namespace fovea
