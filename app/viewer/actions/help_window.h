// The window that ? opens: every shortcut, by group.
#pragma once

#include "app/viewer/actions/action_table.h"

namespace fovea {

class HelpWindow {
 public:
  explicit HelpWindow(const ActionTable& actions) : actions_(actions) {}
  void toggle() { open_ = !open_; }
  bool is_open() const { return open_; }
  void show();

 private:
  const ActionTable& actions_;
  bool open_ = false;
};

// The same as text in Markdown, for docs/keyboard.md.
std::string keyboard_map(const ActionTable& actions);

// What the mouse does, and keys that are held: not actions, but people look for them in the same place.
struct Gesture { const char *what, *how; };
std::vector<Gesture> gestures();

}  // namespace fovea
