#include "app/viewer/panels/panel_set.h"

#include <imgui_internal.h>

#include <algorithm>

#include "core/base/error.h"

namespace fovea {
namespace {

std::string window_name(const Panel& panel) { return panel.title + "###" + panel.id; }

// Without taking the keyboard away from the canvas.
void select_tab(Panel& panel) {
  const ImGuiWindow& window = *ImGui::GetCurrentWindow();
  if (!window.DockNode || !window.DockNode->TabBar) {
    panel.to_front = panel.place != DockPlace::kFloating && !window.DockNode;   // it finds its place in the first frames
    return;
  }
  window.DockNode->TabBar->NextSelectedTabId = window.TabId;
  panel.to_front = false;
}

// What panels need, in heights of the font, and how much of the window they may take; kBelow is a share.
constexpr float kSide = 20, kBottom = 13, kBelow = 0.58f, kMaxShare = 0.36f;

}  // namespace

void PanelSet::add(Panel panel) {
  require(!find(panel.id), "two panels are called " + panel.id);
  panels_.push_back(std::move(panel));
  Panel& added = panels_.back();
  added.open_at_start = added.open;
  actions_.add({.id = "panel." + added.id, .title = added.title, .group = "View/Panels", .shortcut = added.shortcut, .tip = added.tip,
                .run = [&added] { added.open = added.to_front = !added.open || !added.seen; }, .checked = [&added] { return added.open; }});
}

Panel* PanelSet::find(std::string_view id) {
  const auto found = std::ranges::find(panels_, id, [](const Panel& panel) -> std::string_view { return panel.id; });
  return found == panels_.end() ? nullptr : &*found;
}

void PanelSet::open(std::string_view id) {
  if (Panel* panel = find(id)) panel->open = panel->to_front = true;
}

void PanelSet::reset_layout() {
  layout_made_ = false;
  for (Panel& panel : panels_) panel.open = panel.open_at_start;
}

void PanelSet::show(ImVec2 origin, ImVec2 size, const char* central_window) {
  const ImGuiID dock_space = ImGui::GetID("dock");
  if (!layout_made_ || panels_laid_out_ != panels_.size()) make_layout(dock_space, size, central_window);
  ImGui::SetNextWindowPos(origin);
  ImGui::SetNextWindowSize(size);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
  ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 0);
  ImGui::Begin("##dock_host", nullptr,
               ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoDocking |
                   ImGuiWindowFlags_NoBringToFrontOnFocus | ImGuiWindowFlags_NoNavFocus);
  ImGui::DockSpace(dock_space, {0, 0}, ImGuiDockNodeFlags_NoWindowMenuButton | ImGuiDockNodeFlags_NoCloseButton);
  ImGui::End();
  ImGui::PopStyleVar(2);
  for (Panel& panel : panels_) {
    if (!panel.open) {
      panel.seen = false;
      continue;
    }
    if (panel.place == DockPlace::kFloating) {
      ImGui::SetNextWindowSize({ImGui::GetFontSize() * 28, ImGui::GetFontSize() * 20}, ImGuiCond_FirstUseEver);
    }
    panel.seen = ImGui::Begin(window_name(panel).c_str(), &panel.open, ImGuiWindowFlags_NoFocusOnAppearing);
    if (panel.to_front) select_tab(panel);
    if (panel.seen) panel.show();
    ImGui::End();
  }
}

void PanelSet::make_layout(ImGuiID dock_space, ImVec2 size, const char* central_window) {
  layout_made_ = true;
  panels_laid_out_ = panels_.size();
  ImGui::DockBuilderRemoveNode(dock_space);
  ImGui::DockBuilderAddNode(dock_space, static_cast<ImGuiDockNodeFlags>(ImGuiDockNodeFlags_DockSpace));
  ImGui::DockBuilderSetNodeSize(dock_space, size);
  const auto any = [&](DockPlace place) { return std::ranges::any_of(panels_, [&](const Panel& panel) { return panel.place == place; }); };
  const auto share = [&](float lines, float all) { return std::min(kMaxShare, lines * ImGui::GetFontSize() / std::max(1.0f, all)); };
  const float side = share(kSide, size.x);
  ImGuiID centre = dock_space, left = 0, right = 0, below = 0, bottom = 0;
  if (any(DockPlace::kRight) || any(DockPlace::kRightBelow)) {
    right = ImGui::DockBuilderSplitNode(centre, ImGuiDir_Right, side, nullptr, &centre);
  }
  if (any(DockPlace::kLeft)) left = ImGui::DockBuilderSplitNode(centre, ImGuiDir_Left, side, nullptr, &centre);
  if (any(DockPlace::kBottom)) bottom = ImGui::DockBuilderSplitNode(centre, ImGuiDir_Down, share(kBottom, size.y), nullptr, &centre);
  const bool two_on_the_right = any(DockPlace::kRightBelow) && any(DockPlace::kRight);
  below = two_on_the_right ? ImGui::DockBuilderSplitNode(right, ImGuiDir_Down, kBelow, nullptr, &right) : right;
  ImGui::DockBuilderDockWindow(central_window, centre);
  if (ImGuiDockNode* node = ImGui::DockBuilderGetNode(centre)) {
    node->SetLocalFlags(node->LocalFlags | static_cast<ImGuiDockNodeFlags>(ImGuiDockNodeFlags_NoTabBar));
  }
  for (const Panel& panel : panels_) {
    const ImGuiID node = panel.place == DockPlace::kLeft         ? left
                         : panel.place == DockPlace::kRight      ? right
                         : panel.place == DockPlace::kRightBelow ? below
                         : panel.place == DockPlace::kBottom     ? bottom
                                                                 : 0;
    if (node) ImGui::DockBuilderDockWindow(window_name(panel).c_str(), node);
  }
  ImGui::DockBuilderFinish(dock_space);
}

}  // namespace fovea
