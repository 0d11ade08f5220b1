#include "app/viewer/panels/widgets.h"

#include <imgui.h>

#include <cinttypes>
#include <cstdio>

#include "app/viewer/theme.h"

namespace fovea {
namespace {

constexpr std::int64_t kMany = 100000;   // units that nobody wants to read one by one: pixels

}  // namespace

void muted_text(const std::string& text) {
  ImGui::PushStyleColor(ImGuiCol_Text, theme_colours().muted);
  ImGui::TextWrapped("%s", text.c_str());
  ImGui::PopStyleColor();
}

bool colour_combo(const char* label, ColourTable& table) {
  int chosen = static_cast<int>(table);
  if (!ImGui::Combo(
          label, &chosen, [](void*, int i) { return colour_table_name(static_cast<ColourTable>(i)); }, nullptr, kColourTables))
    return false;
  table = static_cast<ColourTable>(chosen);
  return true;
}

bool action_button(const ActionTable& actions, const char* id, const char* label) {
  const Action* action = actions.find(id);
  ImGui::BeginDisabled(!action->is_enabled());
  const bool pressed = ImGui::Button(label);
  ImGui::EndDisabled();
  const std::string key = chord_name(action->shortcut), tip = action->tip.empty() ? action->title : action->tip;
  if (ImGui::IsItemHovered(ImGuiHoveredFlags_ForTooltip | ImGuiHoveredFlags_AllowWhenDisabled)) {
    ImGui::SetTooltip("%s%s%s%s", tip.c_str(), key.empty() ? "" : " (", key.c_str(), key.empty() ? "" : ")");
  }
  if (pressed) action->run();
  return pressed;
}

bool eye_button(const char* id, bool& visible) {
  const float side = ImGui::GetFrameHeight(), scale = side / 26;
  const ImVec2 low = ImGui::GetCursorScreenPos();
  const bool pressed = ImGui::InvisibleButton(id, {side, side});
  if (pressed) visible = !visible;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  if (ImGui::IsItemHovered()) {
    list.AddRectFilled(low, {low.x + side, low.y + side}, ImGui::GetColorU32(ImGuiCol_FrameBgHovered), ImGui::GetStyle().FrameRounding);
  }
  const ImVec2 middle{low.x + side / 2, low.y + side / 2};
  const ImU32 colour = ImGui::GetColorU32(visible ? ImGui::GetStyleColorVec4(ImGuiCol_Text) : theme_colours().muted);
  const float width = 8 * scale, height = 6.5f * scale, line = 1.5f * scale;
  // Two arcs that meet in the corners; closed: the lower one alone, with lashes.
  if (visible) {
    list.AddBezierQuadratic({middle.x - width, middle.y}, {middle.x, middle.y - 2 * height * 0.75f}, {middle.x + width, middle.y}, colour,
                            line);
  }
  list.AddBezierQuadratic({middle.x - width, middle.y}, {middle.x, middle.y + 2 * height * 0.75f}, {middle.x + width, middle.y}, colour,
                          line);
  if (visible) list.AddCircleFilled(middle, 2.6f * scale, colour);
  for (const float side_of : {-1.0f, 0.0f, 1.0f}) {
    const ImVec2 from{middle.x + side_of * 0.55f * width, middle.y + (side_of == 0 ? 0.75f : 0.55f) * height};
    if (!visible) list.AddLine(from, {from.x + side_of * 2 * scale, from.y + 3 * scale}, colour, line);
  }
  return pressed;
}

bool show_progress(const JobState& state) {
  char text[96];
  if (state.total > kMany) {
    std::snprintf(text, sizeof text, "%s, %.0f %%, %.0f s", state.stage.c_str(), 100.0 * state.share(), state.elapsed_s);
  } else if (state.total > 1) {
    std::snprintf(text, sizeof text, "%s %" PRId64 "/%" PRId64 ", %.0f s", state.stage.c_str(), state.done, state.total, state.elapsed_s);
  } else {
    std::snprintf(text, sizeof text, "%s, %.0f s", state.stage.empty() ? "starting" : state.stage.c_str(), state.elapsed_s);
  }
  const float cancel = ImGui::CalcTextSize("Cancel").x + 2 * ImGui::GetStyle().FramePadding.x + ImGui::GetStyle().ItemSpacing.x;
  ImGui::ProgressBar(state.share(), {ImGui::GetContentRegionAvail().x - cancel, ImGui::GetFrameHeight()}, "");
  ImGui::SameLine();
  const bool cancelled = ImGui::Button("Cancel");
  ImGui::SetItemTooltip("Escape");
  muted_text(text);
  return cancelled;
}

}  // namespace fovea
