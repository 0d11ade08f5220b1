#include "app/viewer/panels/start_page.h"

#include <imgui.h>

#include <algorithm>

#include "app/viewer/theme.h"

namespace fovea {

namespace {

// What a person does first, in this order.
struct Step {
  const char *key, *text;
};
constexpr Step kSteps[] = {
    {"wheel, drag", "go to what interests you, in an image of any size"},
    {"E", "let the model encode what you see"},
    {"click", "see where that place looks; Shift: who looks at it, Ctrl: through all layers"},
    {"H", "compare all heads of all layers"},
    {"P", "give every pixel a class"},
    {"?", "all keys;  Ctrl+Shift+P: find whatever there is by a few letters"},
};

void show_steps(float left, float y) {
  const float font = ImGui::GetFontSize();
  for (const Step& step : kSteps) {
    const float key_width = ImGui::CalcTextSize(step.key).x;
    ImGui::SetCursorPos({left + 6 * font - key_width, y});
    ImGui::TextColored(theme_colours().accent, "%s", step.key);
    ImGui::SetCursorPos({left + 7 * font, y});
    ImGui::TextColored(theme_colours().muted, "%s", step.text);
    y += 1.5f * font;
  }
}

// At the end of a recent file's line, as far as there is room: two files may have one name.
void show_folder(const std::filesystem::path& path, float left, float width) {
  const std::string folder = path.parent_path().filename().string();
  const float text = ImGui::CalcTextSize(folder.c_str()).x, gap = ImGui::GetFontSize();
  if (ImGui::CalcTextSize(path.filename().c_str()).x + gap + text > width) return;
  ImGui::SameLine(left + width - text - ImGui::GetStyle().ItemSpacing.x);
  ImGui::TextColored(theme_colours().muted, "%s", folder.c_str());
}

}  // namespace

std::filesystem::path show_start_page(const Workspace& workspace) {
  const float font = ImGui::GetFontSize();
  const ImVec2 window = ImGui::GetWindowSize();
  const float width = std::min(window.x * 0.9f, font * 26), left = (window.x - width) / 2;
  float y = std::max(font, window.y * 0.18f);
  const auto line = [&](const char* text, const ImVec4& colour, float size) {
    ImGui::PushFont(nullptr, ImGui::GetStyle().FontSizeBase * size);
    ImGui::SetCursorPos({(window.x - ImGui::CalcTextSize(text).x) / 2, y});
    ImGui::TextColored(colour, "%s", text);
    y += ImGui::GetTextLineHeightWithSpacing() + font * 0.2f;
    ImGui::PopFont();
  };
  line("Fovea", ImGui::GetStyleColorVec4(ImGuiCol_Text), 1.8f);
  line("Look at an image of any size, and at what a model sees in it", ImGui::GetStyleColorVec4(ImGuiCol_Text), 1);
  y += font * 0.8f;
  ImGui::SetCursorPos({(window.x - font * 12) / 2, y});
  if (ImGui::Button("Open image…  Ctrl+O", {font * 12, font * 2})) workspace.actions.run("file.open");
  y += font * 2.4f;
  line("or drop an image, a project or a folder on the window", theme_colours().muted, 1);
  y += font * 0.8f;
  if (!workspace.settings.recent.empty()) line("Recent", theme_colours().muted, 1);
  std::filesystem::path chosen;
  for (std::size_t i = 0; i < std::min<std::size_t>(workspace.settings.recent.size(), 6); ++i, y += ImGui::GetFrameHeight()) {
    const auto& path = workspace.settings.recent[i];
    ImGui::SetCursorPos({left, y});
    ImGui::PushID(static_cast<int>(i));
    if (ImGui::Selectable(path.filename().string().c_str(), false, 0, {width, 0})) chosen = path;
    ImGui::SetItemTooltip("%s", path.c_str());
    show_folder(path, left, width);
    ImGui::PopID();
  }
  y += font * 1.2f;
  constexpr float kStepsWidth = 33;   // letters' heights, for the longest one
  if (window.x > kStepsWidth * font) show_steps((window.x - kStepsWidth * font) / 2, y);
  return chosen;
}

}  // namespace fovea
