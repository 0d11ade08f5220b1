// The panel that shows the layers: draws them off screen and turns the mouse into camera movements and events for the active tool.
#pragma once

#include <imgui.h>

#include <array>

#include "app/viewer/canvas/minimap.h"
#include "app/viewer/canvas/offscreen.h"
#include "app/viewer/canvas/tool.h"
#include "app/viewer/layers/layer_painter.h"
#include "app/viewer/workspace.h"

namespace fovea {

struct CanvasState {
  bool hovered = false;
  Point cursor_image;                    // level-0 pixels, where hovered
  bool needs_frame = false;              // something is still moving or fading
  ImVec2 origin, size;                   // of the canvas, ImGui's screen coordinates
};

enum class CanvasFurniture { kAll, kPictureOnly };   // kPictureOnly: without what only a mouse needs

class CanvasPanel {
 public:
  CanvasPanel(Workspace& workspace, LayerPainter& painter) : workspace_(workspace), painter_(painter), minimap_(workspace, painter) {}
  const Offscreen& picture() const { return pictures_[0]; }

  // Inside an ImGui window: fills what is left of it.
  CanvasState show(double now_s, double elapsed_s, CanvasFurniture furniture = CanvasFurniture::kAll);

 private:
  static constexpr int kMaxViews = 4;
  struct View {
    ImVec2 origin, size;                 // ImGui's screen coordinates
  };
  std::array<View, kMaxViews> arrange(ImVec2 origin, ImVec2 size) const;
  void handle_mouse(ImVec2 origin, float density);
  void send(CanvasPhase phase, Point image);
  LayerProgress draw_layers(int view, double now_s);
  void decorate(const View& view, int index, float density);
  void show_curtain_handle(const View& view);
  void show_furniture(const View& view, float density, double now_s);

  Workspace& workspace_;
  LayerPainter& painter_;
  Minimap minimap_;
  std::array<Offscreen, kMaxViews> pictures_;
  Point press_image_;
  ImVec2 press_screen_{};
  ImGuiKeyChord press_modifiers_ = 0;    // held when the button went down: what a click asks does not depend on which finger leaves first
  int active_view_ = 0;
  bool pressed_ = false, panning_ = false, was_hovered_ = false;
};

}  // namespace fovea
