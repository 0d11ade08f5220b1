// The whole image small, with a frame around what is in sight; a click or drag goes there.
#pragma once

#include "app/viewer/canvas/offscreen.h"
#include "app/viewer/layers/layer_painter.h"
#include "app/viewer/workspace.h"

namespace fovea {

class Minimap {
 public:
  Minimap(Workspace& workspace, LayerPainter& painter) : workspace_(workspace), painter_(painter) {}
  // Its upper right corner in ImGui's screen coordinates; inside the canvas window. Returns whether the mouse is on it or held by it.
  bool show(ImVec2 upper_right, ImVec2 canvas_size, float density, double now_s);

 private:
  Workspace& workspace_;
  LayerPainter& painter_;
  Offscreen picture_;
};

}  // namespace fovea
