#include "app/viewer/panels/start_page.h"

#include <imgui.h>

#include <algorithm>

#include "app/viewer/theme.h"

namespace fovea {

std::filesystem::path show_start_page(const Workspace& workspace) {
  const float font = ImGui::GetFontSize();
  const ImVec2 window = ImGui::GetWindowSize();
  const float width = std::min(window.x * 0.9f, font * 26), left = (window.x - width) / 2;
  float y = std::max(font, window.y * 0.28f);
  const auto line = [&](const char* text, const ImVec4& colour, float size) {
    ImGui::PushFont(nullptr, ImGui::GetStyle().FontSizeBase * size);
    ImGui::SetCursorPos({(window.x - ImGui::CalcTextSize(text).x) / 2, y});
    ImGui::TextColored(colour, "%s", text);
    y += ImGui::GetTextLineHeightWithSpacing() + font * 0.2f;
    ImGui::PopFont();
  };
  line("Fovea", ImGui::GetStyleColorVec4(ImGuiCol_Text), 1.8f);
  line("Drop an image here, of any size", theme_colours().muted, 1);
  y += font * 0.6f;
  ImGui::SetCursorPos({(window.x - font * 12) / 2, y});
  if (ImGui::Button("Open image…  Ctrl+O", {font * 12, font * 2})) workspace.actions.run("file.open");
  y += font * 3;
  if (!workspace.settings.recent.empty()) line("Recent", theme_colours().muted, 1);
  std::filesystem::path chosen;
  for (std::size_t i = 0; i < std::min<std::size_t>(workspace.settings.recent.size(), 6); ++i, y += ImGui::GetFrameHeight()) {
    const auto& path = workspace.settings.recent[i];
    ImGui::SetCursorPos({left, y});
    ImGui::PushID(static_cast<int>(i));
    if (ImGui::Selectable(path.filename().string().c_str(), false, 0, {width, 0})) chosen = path;
    ImGui::SetItemTooltip("%s", path.c_str());
    ImGui::PopID();
  }
  y += font * 0.6f;
  line("Ctrl+Shift+P: everything there is    ?: keys and mouse", theme_colours().muted, 1);
  return chosen;
}

}  // namespace fovea
