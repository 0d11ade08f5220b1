#include "app/viewer/explore/wall_panel.h"

#include <algorithm>
#include <string>

#include "app/viewer/theme.h"

namespace fovea::explore {
namespace {

constexpr float kGap = 2;                  // points between panels
constexpr float kSmallest = 18;            // points a side

}  // namespace

void WallPanel::show() {
  explorer_.view.wall = true;
  if (!explorer_.encoded() || explorer_.view.tokens.empty()) {
    ImGui::PushStyleColor(ImGuiCol_Text, theme_colours().muted);
    ImGui::TextWrapped(explorer_.encoded() ? "Click a token: every head of every layer then shows here where it looks."
                                           : "Encode what you see (E), then click a token.");
    ImGui::PopStyleColor();
    return;
  }
  const auto& replies = explorer_.wall();
  thumbnails_.resize(explorer_.wall_size());
  for (std::size_t i = 0; i < thumbnails_.size(); ++i) {
    if (i < replies.size()) thumbnails_[i].show(replies[i], replies[i]->place, ColourTable::kMagma);
    else thumbnails_[i].clear();
  }
  const float scale = ImGui::GetStyle().FontScaleDpi, gap = kGap * scale, line = ImGui::GetTextLineHeight();
  const float labels = ImGui::CalcTextSize("00 ").x;
  const auto heads = static_cast<std::size_t>(explorer_.heads());
  const float room = ImGui::GetContentRegionAvail().x - labels;
  const float fitting = (ImGui::GetContentRegionAvail().y - 2.5f * line) / static_cast<float>(explorer_.depth()) - gap;
  const float widest = room / static_cast<float>(heads) - gap;
  const float side = std::max(kSmallest * scale, std::min(widest, std::max(fitting, widest * 0.5f)));
  ImGui::TextColored(theme_colours().muted, "layers down, heads across");
  const ImVec2 start = ImGui::GetCursorScreenPos();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImU32 grey = ImGui::GetColorU32(theme_colours().muted);
  for (std::size_t head = 0; head < heads; ++head) {
    const std::string number = std::to_string(head);
    const float middle = start.x + labels + static_cast<float>(head) * (side + gap) + side / 2;
    list.AddText({middle - ImGui::CalcTextSize(number.c_str()).x / 2, start.y}, grey, number.c_str());
  }
  for (std::size_t panel = 0; panel < thumbnails_.size(); ++panel) {
    const float y = start.y + line + gap + static_cast<float>(panel / heads) * (side + gap);
    if (panel % heads == 0) list.AddText({start.x, y + (side - line) / 2}, grey, std::to_string(panel / heads).c_str());
    show_cell(panel, {start.x + labels + static_cast<float>(panel % heads) * (side + gap), y}, side);
  }
}

void WallPanel::show_cell(std::size_t panel, ImVec2 corner, float side) {
  const auto heads = static_cast<std::size_t>(explorer_.heads());
  ImGui::PushID(static_cast<int>(panel));
  ImGui::SetCursorScreenPos(corner);
  if (ImGui::InvisibleButton("##panel", {side, side})) explorer_.pin(panel);
  const bool hovered = ImGui::IsItemHovered();
  if (hovered) explorer_.hover(panel);
  ImDrawList& list = *ImGui::GetWindowDrawList();
  draw_thumbnail(list, thumbnails_[panel], corner, side);
  const View& view = explorer_.view;
  const bool layer_chosen = panel / heads == static_cast<std::size_t>(view.layer);
  const bool chosen = layer_chosen && view.heads.fusion == Fusion::kOne && panel % heads == static_cast<std::size_t>(view.heads.head);
  if (chosen || hovered) {
    const ImU32 colour = ImGui::GetColorU32(chosen ? theme_colours().accent : ImGui::GetStyleColorVec4(ImGuiCol_Text));
    list.AddRect(corner, {corner.x + side, corner.y + side}, colour, 0, 2 * ImGui::GetStyle().FontScaleDpi);
  }
  if (hovered && !thumbnails_[panel].empty()) {
    const Reply& reply = thumbnails_[panel].reply();
    ImGui::SetTooltip("layer %d, head %d: %.1f %% on global tokens", static_cast<int>(panel / heads), static_cast<int>(panel % heads),
                      reply.global_total * 100);
  }
  ImGui::PopID();
}

}  // namespace fovea::explore
