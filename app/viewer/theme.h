// Fonts, colours and spacing.
#pragma once

#include <imgui.h>

#include <string_view>

namespace fovea {

enum class Theme { kDark, kLight };

// Noto Sans from the sources that scripts/setup.sh view unpacks, or FOVEA_FONT; without either, ImGui's own. Once, before the first frame.
void load_fonts();
// scale: of everything, 1 at 96 dots an inch. May be called between frames.
void apply_theme(Theme theme, float scale);

// Colours with a meaning, readable on the current theme.
struct ThemeColours {
  ImVec4 error, warning, accent, muted;
  float canvas[4];                       // behind the image
};
const ThemeColours& theme_colours();

constexpr std::string_view theme_name(Theme theme) { return theme == Theme::kDark ? "dark" : "light"; }

}  // namespace fovea
