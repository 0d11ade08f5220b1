// What the left mouse button does on the canvas: pan, pick a token, drag a box, brush. One tool is active at a time; the middle button and
// Space with the left one always pan, the wheel always zooms.
//
// workspace.tools.add({.id = "pick", .title = "Pick token", .shortcut = ImGuiKey_T, .tip = "...",
//                        .tool = std::make_unique<PickTool>(*this)});
#pragma once

#include <imgui.h>

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "app/viewer/actions/action_table.h"
#include "app/viewer/canvas/camera.h"
#include "app/viewer/layers/layer.h"

namespace fovea {

// kHover: the mouse moved, no button down. kPress, then kDrag for every movement, then kRelease; kClick follows a release whose pointer
// hardly moved. kCancel instead of kRelease: Escape, or the tool was changed. kLeave: the mouse left the canvas.
enum class CanvasPhase { kHover, kPress, kDrag, kRelease, kClick, kCancel, kLeave };

struct CanvasEvent {
  CanvasPhase phase = CanvasPhase::kHover;
  Point image;                           // where the mouse is: level-0 pixels, may lie outside the image
  Point start;                           // where the button went down
  double image_pixels_a_point = 1;       // level-0 pixels a unit of ImGui: turns a radius on the screen into one on the image
  ImGuiKeyChord modifiers = 0;           // ImGuiMod_Shift | ImGuiMod_Ctrl | ImGuiMod_Alt
};

// Draws over the canvas in ImGui's screen coordinates (outlines, markers, handles): stays one line wide at every zoom.
struct CanvasPainter {
  ImDrawList& list;
  std::function<ImVec2(Point image_point)> to_screen;
  double points_an_image_pixel = 1;
  float scale = 1;                       // of the user interface: line widths are multiplied with it
  RectD visible_level0;
  int view = 0;                          // of the canvas: 0 ... 3 where four are side by side

  void outline(const RectD& rect_level0, ImU32 colour, float width = 1.5f) const;   // with a dark edge, seen on every background
  void cross(Point image_point, ImU32 colour, float radius = 6) const;
};

class Tool {
 public:
  virtual ~Tool() = default;
  virtual void handle(const CanvasEvent& event) = 0;
  // Over the picture, while the tool is active.
  virtual void paint(const CanvasPainter& painter) {}
  // Beside the tool's name in the status line: "Shift: column, Ctrl: rollout".
  virtual std::string hint() const { return {}; }
};

struct ToolEntry {
  std::string id;                        // "pick"
  std::string title;                     // "Pick token"
  ImGuiKeyChord shortcut = 0;
  std::string tip = {};
  std::unique_ptr<Tool> tool;            // nullptr: the left button pans
};

class ToolBox {
 public:
  explicit ToolBox(ActionTable& actions);   // holds "pan"
  // Adds the action "tool.ID" to the menu Tools.
  void add(ToolEntry entry);
  void activate(std::string_view id);
  const ToolEntry& active() const { return *active_; }
  const std::list<ToolEntry>& all() const { return entries_; }

 private:
  ActionTable& actions_;
  std::list<ToolEntry> entries_;
  ToolEntry* active_ = nullptr;
};

}  // namespace fovea
