#include "app/viewer/actions/menu_bar.h"

#include <algorithm>

namespace fovea {
namespace {

// People look for these first and in this order; other groups follow as they came.
constexpr const char* kOrder[] = {"File", "Edit", "View", "Layers", "Tools"};
constexpr const char* kLast = "Help";

std::vector<std::string> top_menus(const ActionTable& actions) {
  std::vector<std::string> menus(std::begin(kOrder), std::end(kOrder));
  for (const std::string& group : actions.groups()) {
    const std::string top = group.substr(0, group.find('/'));
    if (top != kLast && std::ranges::find(menus, top) == menus.end()) menus.push_back(top);
  }
  menus.push_back(kLast);
  std::erase_if(menus, [&](const std::string& menu) {
    return std::ranges::none_of(actions.all(), [&](const Action& a) { return a.group == menu || a.group.starts_with(menu + "/"); });
  });
  return menus;
}

void show_group(const ActionTable& actions, const std::string& group) {
  for (const Action& action : actions.all()) {
    if (action.group == group) show_menu_item(action);
  }
}

}  // namespace

bool show_menu_item(const Action& action) {
  const bool chosen =
      ImGui::MenuItem(action.title.c_str(), chord_name(action.shortcut).c_str(), action.checked && action.checked(), action.is_enabled());
  if (!action.tip.empty()) ImGui::SetItemTooltip("%s", action.tip.c_str());
  if (chosen) action.run();
  return chosen;
}

void show_menu_bar(const ActionTable& actions, const std::vector<MenuExtra>& extras, const std::function<void()>& at_end) {
  if (!ImGui::BeginMainMenuBar()) return;
  const auto groups = actions.groups();
  for (const std::string& menu : top_menus(actions)) {
    if (!ImGui::BeginMenu(menu.c_str())) continue;
    show_group(actions, menu);
    for (const MenuExtra& extra : extras) {
      if (extra.menu == menu) extra.show();
    }
    for (const std::string& group : groups) {
      if (!group.starts_with(menu + "/")) continue;
      if (ImGui::BeginMenu(group.substr(menu.size() + 1).c_str())) {
        show_group(actions, group);
        ImGui::EndMenu();
      }
    }
    ImGui::EndMenu();
  }
  if (at_end) at_end();
  ImGui::EndMainMenuBar();
}

}  // namespace fovea
