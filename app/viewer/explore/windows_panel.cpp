#include "app/viewer/explore/windows_panel.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "app/viewer/explore/token_plane.h"
#include "app/viewer/theme.h"

namespace fovea::explore {
namespace {

constexpr std::int64_t kAround = 20;       // tokens on each side of the chosen ones: a little more than the largest window

void muted(const char* text) {
  ImGui::PushStyleColor(ImGuiCol_Text, theme_colours().muted);
  ImGui::TextWrapped("%s", text);
  ImGui::PopStyleColor();
}

}  // namespace

void WindowsPanel::show() {
  explorer_.view.windows = true;
  const auto& box = explorer_.view.tokens.box;
  if (!explorer_.encoded() || !box)
    return muted("Click a token or drag a box: this compares its row under windows of different sizes with dense attention.");
  const auto& replies = explorer_.windows();
  const TokenBox part{box->row - kAround, box->column - kAround, box->rows + 2 * kAround, box->columns + 2 * kAround};
  const auto count = static_cast<float>(kComparedWindows.size());
  const float gap = ImGui::GetStyle().ItemSpacing.x, line = ImGui::GetTextLineHeightWithSpacing();
  const float side = std::max(ImGui::GetFontSize() * 4, std::min((ImGui::GetContentRegionAvail().x - (count - 1) * gap) / count,
                                                                 ImGui::GetContentRegionAvail().y - 4.2f * line));
  const bool have_dense = replies.size() == kComparedWindows.size();
  for (std::size_t i = 0; i < kComparedWindows.size(); ++i) {
    if (i > 0) ImGui::SameLine();
    ImGui::BeginGroup();
    const std::int64_t window = kComparedWindows[i];
    const std::string size = std::to_string(window);
    ImGui::TextUnformatted(window == 0 ? "dense" : (size + " × " + size).c_str());
    if (i < replies.size()) thumbnails_[i].show(replies[i], part, ColourTable::kMagma);
    else thumbnails_[i].clear();
    draw_thumbnail(*ImGui::GetWindowDrawList(), thumbnails_[i], ImGui::GetCursorScreenPos(), side);
    ImGui::Dummy({side, side});
    if (window == 0) {
      ImGui::TextUnformatted("keeps all");
    } else if (have_dense && box->rows * box->columns == 1) {
      const Reply& dense = *replies.back();
      ImGui::Text("keeps %.1f %%", 100 * kept_by_window(dense.plane, dense.global_total,
                                                        {box->row - dense.place.row, box->column - dense.place.column, 1, 1}, window));
    }
    ImGui::EndGroup();
  }
  muted("The same queries and keys under another window. A model trained with it would have others.");
}

}  // namespace fovea::explore
