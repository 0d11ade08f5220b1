// The main menu, made from the action table: a menu a group, a submenu a "Group/Sub".
#pragma once

#include "app/viewer/actions/action_table.h"

namespace fovea {

// Inside no window. extra, if given, is called for a menu of that name after its actions: "Open recent" and the like.
struct MenuExtra {
  std::string menu;
  std::function<void()> show;
};
// at_end: more, behind the menus in their row.
void show_menu_bar(const ActionTable& actions, const std::vector<MenuExtra>& extras, const std::function<void()>& at_end = {});

// One entry as in the menu; true if it was chosen (and run).
bool show_menu_item(const Action& action);

}  // namespace fovea
