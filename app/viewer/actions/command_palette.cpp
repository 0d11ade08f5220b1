#include "app/viewer/actions/command_palette.h"

#include <imcmd_fuzzy_search.h>
#include <misc/cpp/imgui_stdlib.h>

#include <algorithm>

#include "app/viewer/theme.h"

namespace fovea {
namespace {

constexpr const char* kPopup = "##palette";
constexpr int kShown = 12;

}  // namespace

void CommandPalette::open() {
  typed_.clear();
  chosen_ = 0;
  opening_ = true;
}

std::vector<CommandPalette::Match> CommandPalette::matches() const {
  std::vector<Match> result;
  for (const Action& action : actions_.all()) {
    int score = 0;
    const std::string text = action.group + ": " + action.title;
    if (typed_.empty() || ImCmd::FuzzySearch(typed_.c_str(), text.c_str(), score)) result.push_back({&action, score});
  }
  std::ranges::stable_sort(result, std::ranges::greater{}, &Match::score);
  std::ranges::stable_partition(result,
                                [](const Match& match) { return match.action->is_enabled(); });   // what can be done now comes first
  return result;
}

void CommandPalette::show() {
  if (opening_) ImGui::OpenPopup(kPopup);
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  const float font = ImGui::GetFontSize();
  ImGui::SetNextWindowPos({viewport.WorkPos.x + viewport.WorkSize.x / 2, viewport.WorkPos.y + font * 2}, ImGuiCond_Always, {0.5f, 0});
  ImGui::SetNextWindowSize({std::min(viewport.WorkSize.x * 0.9f, font * 36), 0});
  if (!ImGui::BeginPopup(kPopup)) return;
  if (opening_) ImGui::SetKeyboardFocusHere();
  opening_ = false;
  ImGui::SetNextItemWidth(-1);
  if (ImGui::InputTextWithHint("##search", "Type what you want to do", &typed_)) chosen_ = 0;
  const auto found = matches();
  const int last = std::max(0, static_cast<int>(found.size()) - 1);
  if (ImGui::IsKeyPressed(ImGuiKey_DownArrow)) ++chosen_;
  if (ImGui::IsKeyPressed(ImGuiKey_UpArrow)) --chosen_;
  chosen_ = std::clamp(chosen_, 0, last);
  const bool entered = ImGui::IsKeyPressed(ImGuiKey_Enter) || ImGui::IsKeyPressed(ImGuiKey_KeypadEnter);

  const Action* run = nullptr;
  const float height = ImGui::GetTextLineHeightWithSpacing() * static_cast<float>(std::clamp(static_cast<int>(found.size()), 1, kShown)) +
                       ImGui::GetStyle().ItemSpacing.y;
  if (ImGui::BeginChild("##found", {0, height})) {
    for (int i = 0; i <= last && i < static_cast<int>(found.size()); ++i) {
      const Action& action = *found[static_cast<std::size_t>(i)].action;
      ImGui::BeginDisabled(!action.is_enabled());
      const bool clicked = ImGui::Selectable((action.title + "##" + action.id).c_str(), i == chosen_);
      if (!action.tip.empty()) ImGui::SetItemTooltip("%s", action.tip.c_str());
      if (i == chosen_ && (ImGui::IsKeyPressed(ImGuiKey_DownArrow) || ImGui::IsKeyPressed(ImGuiKey_UpArrow))) ImGui::SetScrollHereY();
      const std::string right = action.shortcut ? chord_name(action.shortcut) : action.group;
      ImGui::SameLine(ImGui::GetWindowWidth() - ImGui::CalcTextSize(right.c_str()).x - ImGui::GetStyle().ScrollbarSize);
      ImGui::TextColored(theme_colours().muted, "%s", right.c_str());
      ImGui::EndDisabled();
      if ((clicked || (entered && i == chosen_)) && action.is_enabled()) run = &action;
    }
    if (found.empty()) ImGui::TextColored(theme_colours().muted, "Nothing has this name.");
  }
  ImGui::EndChild();
  if (run || ImGui::IsKeyPressed(ImGuiKey_Escape)) ImGui::CloseCurrentPopup();
  ImGui::EndPopup();
  if (run) run->run();
}

}  // namespace fovea
