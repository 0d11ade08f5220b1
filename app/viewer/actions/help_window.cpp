#include "app/viewer/actions/help_window.h"

#include <algorithm>

#include "app/viewer/theme.h"

namespace fovea {

std::vector<Gesture> gestures() {
  return {{"Zoom at the cursor", "Mouse wheel"},
          {"Pan", "Drag; with another tool: middle button, or Space and drag"},
          {"Zoom in, out", "Double-click, Shift and double-click"},
          {"Hide overlays while held", "`"},
          {"Move the curtain", "Drag its handle"},
          {"Go to a place", "Click or drag in the minimap"},
          {"Where a token looks, once encoded", "Click; drag: the mean of a box (brush: B, lasso: Shift+B)"},
          {"Who looks at it, rollout, global tokens", "Shift, Ctrl, Alt and click"}};
}

void HelpWindow::show() {
  if (!open_) return;
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  const float font = ImGui::GetFontSize();
  ImGui::SetNextWindowPos({viewport.WorkPos.x + viewport.WorkSize.x / 2, viewport.WorkPos.y + viewport.WorkSize.y / 2}, ImGuiCond_Appearing,
                          {0.5f, 0.5f});
  ImGui::SetNextWindowSize({std::min(viewport.WorkSize.x * 0.9f, font * 40), std::min(viewport.WorkSize.y * 0.9f, font * 34)},
                           ImGuiCond_Appearing);
  if (ImGui::Begin("Keys and mouse###help", &open_, ImGuiWindowFlags_NoDocking | ImGuiWindowFlags_NoCollapse)) {
    const auto row = [&](const char* what, const char* how) {
      ImGui::TableNextRow();
      ImGui::TableNextColumn();
      ImGui::TextUnformatted(what);
      ImGui::TableNextColumn();
      ImGui::PushStyleColor(ImGuiCol_Text, theme_colours().accent);
      ImGui::TextWrapped("%s", how);
      ImGui::PopStyleColor();
    };
    const auto table = [&](const char* title, const auto& rows) {
      ImGui::SeparatorText(title);
      if (!ImGui::BeginTable(title, 2, ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingStretchProp)) return;
      ImGui::TableSetupColumn("what", 0, 0.56f);
      ImGui::TableSetupColumn("how", 0, 0.44f);
      rows();
      ImGui::EndTable();
    };
    table("Mouse", [&] { for (const Gesture& gesture : gestures()) row(gesture.what, gesture.how); });
    for (const std::string& group : actions_.groups()) {
      const auto belongs = [&](const Action& action) { return action.group == group && action.shortcut != 0; };
      if (std::ranges::none_of(actions_.all(), belongs)) continue;
      table(group.c_str(), [&] {
        for (const Action& action : actions_.all()) {
          if (belongs(action)) row(action.title.c_str(), chord_name(action.shortcut).c_str());
        }
      });
    }
  }
  ImGui::End();
  if (ImGui::IsKeyPressed(ImGuiKey_Escape)) open_ = false;
}

std::string keyboard_map(const ActionTable& actions) {
  std::string text =
      "# Keys and mouse\n\nMade from the program's table of actions: `fovea-view --keys`. Everything below, and what has no key, is in the "
      "command palette (Ctrl+Shift+P).\n\n| mouse | |\n|---|---|\n";
  for (const Gesture& gesture : gestures()) text += std::string("| ") + gesture.what + " | " + gesture.how + " |\n";
  for (const std::string& group : actions.groups()) {
    std::string rows;
    for (const Action& action : actions.all()) {
      if (action.group == group && action.shortcut != 0) {
        rows += "| " + action.title + " | `" + chord_name(action.shortcut) + "` | " + action.tip + " |\n";
      }
    }
    if (!rows.empty()) text += "\n| " + group + " | key | |\n|---|---|---|\n" + rows;
  }
  return text;
}

}  // namespace fovea
