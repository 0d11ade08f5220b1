#include "app/viewer/panels/toasts.h"

#include <imgui_internal.h>   // BringWindowToDisplayFront

#include <algorithm>
#include <string>

#include "app/viewer/theme.h"

namespace fovea {
namespace {

constexpr std::size_t kMost = 4;             // at a time; the log has all
constexpr float kWidth = 34;                 // of a toast at most, in letters' heights

// One toast, its lower left corner given; returns its height.
float show_toast(Message& message, std::size_t number, ImVec2 corner, float width) {
  const ThemeColours& colours = theme_colours();
  const ImVec4& mark = message.severity == Severity::kError     ? colours.error
                       : message.severity == Severity::kWarning ? colours.warning
                                                                : colours.accent;
  ImGui::SetNextWindowPos(corner, ImGuiCond_Always, {0, 1});
  ImGui::SetNextWindowSizeConstraints({0, 0}, {width, width});
  ImGui::SetNextWindowBgAlpha(1);
  const std::string name = "##toast" + std::to_string(number);
  ImGui::Begin(name.c_str(), nullptr,
               ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_AlwaysAutoResize | ImGuiWindowFlags_NoDocking |
                   ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoFocusOnAppearing | ImGuiWindowFlags_NoNav |
                   ImGuiWindowFlags_NoMove);
  ImGui::BringWindowToDisplayFront(ImGui::GetCurrentWindow());
  const ImVec2 place = ImGui::GetWindowPos(), size = ImGui::GetWindowSize();
  ImGui::GetWindowDrawList()->AddRectFilled(place, {place.x + 4 * ImGui::GetStyle().FontScaleDpi, place.y + size.y},
                                            ImGui::GetColorU32(mark), 2);
  ImGui::PushTextWrapPos(width - 5 * ImGui::GetFontSize());
  const std::string text = message.repeats > 1 ? message.text + "  (" + std::to_string(message.repeats) + "×)" : message.text;
  ImGui::TextUnformatted(text.c_str());
  ImGui::PopTextWrapPos();
  if (message.action) {
    if (ImGui::Button(message.action->label.c_str())) {
      message.dismissed = true;
      const auto run = message.action->run;   // it may say something itself
      run();
    }
  }
  ImGui::SameLine();
  if (message.action ? ImGui::Button("Dismiss") : ImGui::SmallButton(message.severity == Severity::kInfo ? "×" : "Dismiss")) {
    message.dismissed = true;
  }
  ImGui::End();
  return size.y;
}

}  // namespace

bool show_toasts(Messages& messages, ImVec2 origin, ImVec2 size) {
  const auto shown = messages.shown();
  const float scale = ImGui::GetStyle().FontScaleDpi, gap = 8 * scale, width = std::min(size.x - 2 * gap, kWidth * ImGui::GetFontSize());
  float y = origin.y + size.y - 7 * gap;     // above the scale bar
  bool passing = false;
  for (std::size_t i = shown.size(); i-- > (shown.size() > kMost ? shown.size() - kMost : 0);) {   // the newest below
    y -= show_toast(*shown[i], i, {origin.x + gap, y}, width) + gap;
    passing |= shown[i]->severity != Severity::kError;
  }
  return passing;
}

}  // namespace fovea
