#include "app/viewer/theme.h"

#include <implot.h>

#include "app/viewer/resources.h"

namespace fovea {
namespace {

constexpr float kFontSize = 16;          // pixels at scale 1

constexpr ThemeColours kDark{.error = {1.0f, 0.52f, 0.44f, 1}, .warning = {0.98f, 0.78f, 0.36f, 1}, .accent = {0.40f, 0.69f, 0.96f, 1},
                             .muted = {0.60f, 0.62f, 0.66f, 1}, .canvas = {0.086f, 0.090f, 0.098f, 1}};
constexpr ThemeColours kLight{.error = {0.74f, 0.13f, 0.08f, 1}, .warning = {0.60f, 0.39f, 0.00f, 1}, .accent = {0.05f, 0.38f, 0.72f, 1},
                              .muted = {0.40f, 0.42f, 0.46f, 1}, .canvas = {0.80f, 0.81f, 0.82f, 1}};
const ThemeColours* current = &kDark;

void set_dark(ImVec4* colours) {
  ImGui::StyleColorsDark();
  colours[ImGuiCol_WindowBg] = {0.125f, 0.133f, 0.145f, 1};
  colours[ImGuiCol_PopupBg] = {0.150f, 0.158f, 0.172f, 1};
  colours[ImGuiCol_MenuBarBg] = {0.105f, 0.112f, 0.122f, 1};
  colours[ImGuiCol_TitleBg] = colours[ImGuiCol_TitleBgActive] = colours[ImGuiCol_TitleBgCollapsed] = {0.105f, 0.112f, 0.122f, 1};
  colours[ImGuiCol_FrameBg] = {0.190f, 0.200f, 0.218f, 1};
  colours[ImGuiCol_FrameBgHovered] = {0.235f, 0.250f, 0.275f, 1};
  colours[ImGuiCol_FrameBgActive] = {0.260f, 0.285f, 0.320f, 1};
  colours[ImGuiCol_Border] = {1, 1, 1, 0.075f};
  colours[ImGuiCol_Separator] = {1, 1, 1, 0.10f};
  colours[ImGuiCol_Text] = {0.90f, 0.91f, 0.93f, 1};
  colours[ImGuiCol_ModalWindowDimBg] = {0, 0, 0, 0.5f};
}

void set_light(ImVec4* colours) {
  ImGui::StyleColorsLight();
  colours[ImGuiCol_WindowBg] = {0.955f, 0.958f, 0.962f, 1};
  colours[ImGuiCol_PopupBg] = {0.985f, 0.985f, 0.988f, 1};
  colours[ImGuiCol_MenuBarBg] = {0.905f, 0.910f, 0.918f, 1};
  colours[ImGuiCol_TitleBg] = colours[ImGuiCol_TitleBgActive] = colours[ImGuiCol_TitleBgCollapsed] = {0.905f, 0.910f, 0.918f, 1};
  colours[ImGuiCol_FrameBg] = {0.865f, 0.872f, 0.884f, 1};
  colours[ImGuiCol_FrameBgHovered] = {0.82f, 0.84f, 0.87f, 1};
  colours[ImGuiCol_Text] = {0.11f, 0.12f, 0.14f, 1};
  colours[ImGuiCol_Border] = {0, 0, 0, 0.14f};
  colours[ImGuiCol_ModalWindowDimBg] = {0.1f, 0.1f, 0.1f, 0.4f};
}

// Selected and pressed things in one accent, tabs quiet.
void set_accents(ImVec4* colours, const ImVec4& accent) {
  const auto with_alpha = [&](float alpha) { return ImVec4(accent.x, accent.y, accent.z, alpha); };
  colours[ImGuiCol_Header] = with_alpha(0.26f);
  colours[ImGuiCol_HeaderHovered] = with_alpha(0.36f);
  colours[ImGuiCol_HeaderActive] = with_alpha(0.46f);
  colours[ImGuiCol_Button] = with_alpha(0.20f);
  colours[ImGuiCol_ButtonHovered] = with_alpha(0.34f);
  colours[ImGuiCol_ButtonActive] = with_alpha(0.48f);
  colours[ImGuiCol_SliderGrab] = with_alpha(0.5f);   // the value is read through it
  colours[ImGuiCol_SliderGrabActive] = with_alpha(0.7f);
  colours[ImGuiCol_CheckMark] = accent;
  colours[ImGuiCol_Tab] = colours[ImGuiCol_TabDimmed] = colours[ImGuiCol_TitleBg];
  colours[ImGuiCol_TabSelected] = colours[ImGuiCol_TabDimmedSelected] = colours[ImGuiCol_WindowBg];
  colours[ImGuiCol_TabHovered] = with_alpha(0.24f);
  colours[ImGuiCol_TabSelectedOverline] = accent;
  colours[ImGuiCol_TabDimmedSelectedOverline] = with_alpha(0.35f);
  colours[ImGuiCol_PlotHistogram] = accent;
}

}  // namespace

void load_fonts() {
  ImFontAtlas& fonts = *ImGui::GetIO().Fonts;
  const auto file = font_file();
  if (file.empty() || !fonts.AddFontFromFileTTF(file.c_str(), kFontSize)) fonts.AddFontDefault();
}

void apply_theme(Theme theme, float scale) {
  ImGuiStyle style;   // a fresh one: ScaleAllSizes() is not to be applied twice
  style.WindowRounding = 4;
  style.FrameRounding = 4;
  style.PopupRounding = 4;
  style.GrabRounding = 3;
  style.TabRounding = 4;
  style.ScrollbarRounding = 6;
  style.ScrollbarSize = 12;
  style.FramePadding = {8, 4};
  style.ItemSpacing = {8, 6};
  style.ItemInnerSpacing = {6, 4};
  style.WindowPadding = {10, 10};
  style.WindowBorderSize = 1;
  style.TabBarOverlineSize = 2;
  style.SeparatorTextBorderSize = 1;
  style.SeparatorTextPadding = {0, 6};
  style.HoverDelayNormal = 0.5f;
  style.FontSizeBase = kFontSize;
  style.ScaleAllSizes(scale);
  style.FontScaleDpi = scale;
  ImGui::GetStyle() = style;
  current = theme == Theme::kDark ? &kDark : &kLight;
  ImVec4* colours = ImGui::GetStyle().Colors;
  if (theme == Theme::kDark) set_dark(colours);
  else set_light(colours);
  set_accents(colours, current->accent);
  if (theme == Theme::kDark) ImPlot::StyleColorsDark();
  else ImPlot::StyleColorsLight();
}

const ThemeColours& theme_colours() { return *current; }

}  // namespace fovea
