#include "app/viewer/canvas/tool_bar.h"

#include "app/viewer/theme.h"

namespace fovea {

void show_tool_bar(ToolBox& tools) {
  const ImGuiStyle& style = ImGui::GetStyle();
  float width = 0;
  for (const ToolEntry& entry : tools.all()) {
    width += ImGui::CalcTextSize(entry.title.c_str()).x + 2 * style.FramePadding.x + style.ItemSpacing.x;
  }
  const float left = ImGui::GetWindowWidth() - width;
  if (left < ImGui::GetCursorPosX() + ImGui::GetFontSize()) return;
  ImGui::SetCursorPosX(left);
  std::string chosen;
  for (const ToolEntry& entry : tools.all()) {
    const bool active = &entry == &tools.active();
    ImGui::PushStyleColor(ImGuiCol_Text, active ? theme_colours().accent : style.Colors[ImGuiCol_Text]);
    ImGui::PushStyleColor(ImGuiCol_Button, active ? style.Colors[ImGuiCol_Button] : ImVec4());
    if (ImGui::SmallButton(entry.title.c_str())) chosen = entry.id;
    ImGui::PopStyleColor(2);
    ImGui::SetItemTooltip("%s  (%s)", entry.tip.c_str(), chord_name(entry.shortcut).c_str());
  }
  if (!chosen.empty()) tools.activate(chosen);
}

}  // namespace fovea
