#include "app/viewer/explore/windows_panel.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "app/viewer/explore/token_plane.h"
#include "app/viewer/theme.h"

namespace fovea::explore {
namespace {

constexpr const char* kNote = "The same queries and keys under another window. A model trained with it would have others.";
constexpr float kNoteWidth = 14;           // letters' heights that the note needs beside the maps; else it is below them
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
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const float letter = ImGui::GetFontSize();
  const auto side_of = [&](ImVec2 size) { return std::max(letter * 4, std::min((size.x - (count - 1) * gap) / count, size.y)); };
  const float beside = side_of({room.x - kNoteWidth * letter, room.y - 2.2f * line}), above = side_of({room.x, room.y - 4.2f * line});
  const bool note_beside = beside > above;   // the panel is low and wide
  const float side = note_beside ? beside : above;
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
  if (note_beside) ImGui::SameLine(0, 2 * gap);
  muted(kNote);
}

}  // namespace fovea::explore
