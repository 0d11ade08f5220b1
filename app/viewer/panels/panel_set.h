// Dockable windows beside the canvas.
//
// workspace.panels.add({.id = "heads", .title = "Heads", .place = DockPlace::kRight, .show = [this] { show_heads(); }});
#pragma once

#include <functional>
#include <list>
#include <string>
#include <string_view>

#include "app/viewer/actions/action_table.h"

namespace fovea {

inline constexpr const char* kCanvasWindow = "Canvas";   // in the middle

enum class DockPlace { kLeft, kRight, kRightBelow, kBottom, kFloating };   // where it is until the person moves it

struct Panel {
  std::string id;                        // "layers"
  std::string title;                     // "Layers"; the window's name is "Layers###layers", tests refer to "//layers"
  DockPlace place = DockPlace::kRight;
  std::function<void()> show;            // the contents; called between Begin and End, only while they can be seen
  bool open = true;
  ImGuiKeyChord shortcut = 0;            // opens it, brings it to the front of its tabs, closes it
  std::string tip = {};
  bool open_at_start = true;             // set by PanelSet::add()
  bool to_front = false;                 // with the next frame
  bool seen = false;                     // in the last frame: not behind another tab
};

class PanelSet {
 public:
  explicit PanelSet(ActionTable& actions) : actions_(actions) {}

  // Adds the action "panel.ID" to the menu View/Panels.
  void add(Panel panel);
  Panel* find(std::string_view id);
  // Also brings it to the front of its tabs.
  void open(std::string_view id);
  const std::list<Panel>& all() const { return panels_; }
  std::list<Panel>& all() { return panels_; }

  // Once a frame: a dock space over the area (ImGui's screen coordinates) with the canvas window in its middle, and every open panel.
  void show(ImVec2 origin, ImVec2 size, const char* central_window);
  // Every panel where it was at the start, open or closed as then.
  void reset_layout();

 private:
  void make_layout(ImGuiID dock_space, ImVec2 size, const char* central_window);
  ActionTable& actions_;
  std::list<Panel> panels_;              // a list: show() and actions keep references
  bool layout_made_ = false;
  std::size_t panels_laid_out_ = 0;
};

}  // namespace fovea
