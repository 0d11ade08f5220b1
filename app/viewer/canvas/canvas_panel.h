// The panel that shows the layers: draws them off screen and turns the mouse into camera movements and events for the active tool.
#pragma once

#include <imgui.h>

#include "app/viewer/canvas/offscreen.h"
#include "app/viewer/canvas/tool.h"
#include "app/viewer/layers/layer_painter.h"
#include "app/viewer/workspace.h"

namespace fovea {

struct CanvasState {
  bool hovered = false;
  Point cursor_image;                    // level-0 pixels, where hovered
  bool needs_frame = false;              // something is still moving or fading
};

class CanvasPanel {
 public:
  CanvasPanel(Workspace& workspace, LayerPainter& painter) : workspace_(workspace), painter_(painter) {}
  const Offscreen& picture() const { return picture_; }

  // Inside an ImGui window: fills what is left of it.
  CanvasState show(double now_s, double elapsed_s);

 private:
  void handle_mouse(ImVec2 origin, float density);
  void send(CanvasPhase phase, Point image);
  LayerProgress draw_layers(double now_s);

  Workspace& workspace_;
  LayerPainter& painter_;
  Offscreen picture_;
  Point press_image_;
  ImVec2 press_screen_{};
  bool pressed_ = false, panning_ = false, was_hovered_ = false;
};

}  // namespace fovea
