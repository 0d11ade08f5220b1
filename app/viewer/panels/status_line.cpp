#include "app/viewer/panels/status_line.h"

#include <imgui_internal.h>   // RenderTextEllipsis

#include <algorithm>
#include <cinttypes>
#include <cmath>

#include "app/viewer/layers/image_layer.h"
#include "app/viewer/theme.h"

namespace fovea {
namespace {

void show_pixel(const Workspace& workspace, Point p) {
  ImGui::SameLine(0, ImGui::GetFontSize() * 2);
  ImGui::Text("x %" PRId64 "  y %" PRId64, static_cast<std::int64_t>(std::floor(p.x)), static_cast<std::int64_t>(std::floor(p.y)));
  const auto add = [](const std::string& text) {
    if (text.empty()) return;
    ImGui::SameLine(0, ImGui::GetFontSize());
    ImGui::TextUnformatted(text.c_str());
  };
  if (const auto& transform = workspace.image->info.georeference.geotransform) {
    const auto& g = *transform;
    char text[80];
    std::snprintf(text, sizeof text, "E %.10g  N %.10g", g[0] + g[1] * p.x + g[2] * p.y, g[3] + g[4] * p.x + g[5] * p.y);
    add(text);
  }
  for (const auto& layer : workspace.layers.all()) {
    const std::string value = layer->style.visible ? layer->describe(p) : std::string();
    if (!value.empty()) add(layer->kind() == LayerKind::kImage ? value : layer->name + " " + value);
  }
  for (const auto& status : workspace.status) add(status(p));
}

// What does not fit is cut with a sign of it, and whole where the mouse rests.
void show_hint(const std::string& hint) {
  const ImVec2 low = ImGui::GetCursorScreenPos(), size = ImGui::CalcTextSize(hint.c_str());
  const float end = ImGui::GetWindowPos().x + ImGui::GetWindowSize().x - ImGui::GetStyle().WindowPadding.x;
  const float width = std::min(size.x, end - low.x);
  if (width < ImGui::GetFontSize()) return;   // no room for a word
  ImGui::PushStyleColor(ImGuiCol_Text, theme_colours().muted);
  ImGui::RenderTextEllipsis(ImGui::GetWindowDrawList(), low, {low.x + width, low.y + size.y}, low.x + width, hint.c_str(), nullptr, &size);
  ImGui::PopStyleColor();
  ImGui::Dummy({width, size.y});
  if (width < size.x) ImGui::SetItemTooltip("%s", hint.c_str());
}

void show_contents(Workspace& workspace, const CanvasState& state) {
  for (const auto& running : workspace.running) {
    const auto work = running();
    if (!work) continue;
    ImGui::TextColored(theme_colours().accent, "%s %.0f %%", work->what.c_str(), 100.0 * static_cast<double>(work->share));
    ImGui::SetItemTooltip("Escape cancels");
    ImGui::SameLine(0, ImGui::GetFontSize());
  }
  if (!workspace.image) {
    ImGui::TextColored(theme_colours().muted, "No image");
    return;
  }
  const ImageInfo& info = workspace.image->info;
  ImGui::Text("%" PRId64 " × %" PRId64 "   %s, %d bit, %d band%s   %.4g %%", info.width, info.height, info.format.c_str(), info.bits,
              info.bands, info.bands == 1 ? "" : "s", workspace.camera.zoom() * 100);
  const auto* image = dynamic_cast<const ImageLayer*>(workspace.layers.find("image"));
  if (image && image->build_progress() >= 0) {
    ImGui::SameLine(0, ImGui::GetFontSize());
    ImGui::TextColored(theme_colours().muted, "Preparing fast zooming %.0f %%", 100.0 * image->build_progress());
    ImGui::SetItemTooltip("Coarse views are computed once and kept on disk; the next time this image opens at once");
  }
  // Values before the hint: of a line that is too long, the hint's end is what can be missed.
  const Point p = state.cursor_image;
  if (state.hovered && p.x >= 0 && p.y >= 0 && p.x < static_cast<double>(info.width) && p.y < static_cast<double>(info.height)) {
    show_pixel(workspace, p);
  }
  const std::string hint = workspace.tools.active().tool ? workspace.tools.active().tool->hint() : std::string();
  if (workspace.tools.active().tool) {
    ImGui::SameLine(0, ImGui::GetFontSize());
    ImGui::TextColored(theme_colours().accent, "%s", workspace.tools.active().title.c_str());
    ImGui::SameLine(0, ImGui::GetFontSize() / 2);
    show_hint(hint);
  }
}

}  // namespace

void show_status_line(Workspace& workspace, const CanvasState& canvas, ImVec2 place, ImVec2 size) {
  ImGui::SetNextWindowPos(place);
  ImGui::SetNextWindowSize(size);
  ImGui::Begin("Status", nullptr,
               ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoDocking);
  show_contents(workspace, canvas);
  ImGui::End();
}

}  // namespace fovea
