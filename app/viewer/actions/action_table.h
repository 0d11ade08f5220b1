// The one table of everything a person can ask for. Menus, shortcuts, the command palette (Ctrl+Shift+P) and the help (?) are made from it.
//
// workspace.actions.add({.id = "attention.next_head", .title = "Next head", .group = "Attention", .shortcut = ImGuiKey_RightBracket,
//                        .tip = "Show the next head of this layer", .run = [this] { next_head(); },
//                        .enabled = [this] { return encoded(); }});
#pragma once

#include <imgui.h>

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

struct Action {
  std::string id;                        // "view.fit": unique, stable
  std::string title;                     // "Fit to window"
  std::string group;                     // menu: "File", "View", "Attention", ...; "View/Panels": a submenu
  ImGuiKeyChord shortcut = 0;            // 0: none. Works everywhere but while text is typed
  std::string tip = {};                  // one sentence for the help and the palette
  std::function<void()> run;
  std::function<bool()> enabled = {};    // empty: always
  std::function<bool()> checked = {};    // empty: not a switch
  bool repeats = false;                  // goes on while the key is held

  bool is_enabled() const { return !enabled || enabled(); }
};

class ActionTable {
 public:
  // Error{kContract}: the id is taken, or its shortcut belongs to another action.
  void add(Action action);
  const Action* find(std::string_view id) const;
  // Runs it if it is enabled; false if not, or if there is none of that id.
  bool run(std::string_view id) const;
  // In the order of adding: that of menus.
  const std::deque<Action>& all() const { return actions_; }
  // Groups in the order in which they first came.
  std::vector<std::string> groups() const;

  // Once a frame: runs what was pressed.
  void handle_shortcuts() const;

 private:
  std::deque<Action> actions_;
};

// "Ctrl+Shift+P"; "" for 0.
std::string chord_name(ImGuiKeyChord chord);

}  // namespace fovea
