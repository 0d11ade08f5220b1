#include "app/viewer/explore/plots_panel.h"

#include <implot.h>

#include <cmath>
#include <string>

#include "app/viewer/theme.h"

namespace fovea::explore {
namespace {

constexpr float kReach = 10;               // points from the mouse to a dot
constexpr double kSpread = 0.5;            // layers that the heads' dots are spread over, so that none hides another

}  // namespace

void PlotsPanel::show() {
  explorer_.view.statistics = true;
  const auto muted = [](const char* text) { ImGui::TextColored(theme_colours().muted, "%s", text); };
  if (!explorer_.encoded()) return muted("Encode what you see (E): entropy and distance of every head.");
  const auto layers = static_cast<std::size_t>(explorer_.depth());
  if (explorer_.statistics().size() < layers) {
    ImGui::ProgressBar(static_cast<float>(explorer_.statistics().size()) / static_cast<float>(layers), {-1, ImGui::GetFontSize() * 0.5f},
                       "");
    ImGui::TextColored(theme_colours().muted, "layer %zu of %zu", explorer_.statistics().size(), layers);
  }
  const float width = (ImGui::GetContentRegionAvail().x - ImGui::GetStyle().ItemSpacing.x) / 2;
  show_plot("Entropy by layer (0: one place, 1: all alike)", &Reply::entropy_by_head, width);
  ImGui::SameLine();
  show_plot("Distance by layer, pixels", &Reply::distance_by_head_pixels, width);
}

void PlotsPanel::show_plot(const char* title, std::vector<double> Reply::* by_head, float width) {
  const auto heads = static_cast<std::size_t>(explorer_.heads());
  const double step = heads > 1 ? kSpread / static_cast<double>(heads - 1) : 0;
  ImPlot::PushStyleVar(ImPlotStyleVar_PlotMinSize, ImVec2(100, 50));   // the panel is low
  ImPlot::PushStyleVar(ImPlotStyleVar_FitPadding, ImVec2(0, 0.08f));     // dots at the edge are whole
  const bool visible = ImPlot::BeginPlot(title, {width, -1}, ImPlotFlags_NoLegend | ImPlotFlags_NoMenus | ImPlotFlags_NoBoxSelect);
  if (!visible) return ImPlot::PopStyleVar(2);
  ImPlot::SetupAxes(nullptr, nullptr, ImPlotAxisFlags_NoHighlight, ImPlotAxisFlags_AutoFit | ImPlotAxisFlags_NoHighlight);
  ImPlot::SetupAxisLimits(ImAxis_X1, -0.6, static_cast<double>(explorer_.depth()) - 0.4, ImPlotCond_Always);
  const ImVec2 mouse = ImGui::GetMousePos();
  double nearest = kReach * ImGui::GetStyle().FontScaleDpi;
  std::optional<std::size_t> under_mouse;
  for (std::size_t head = 0; head < heads; ++head) {
    std::vector<double> x, y;
    for (std::size_t layer = 0; layer < explorer_.statistics().size(); ++layer) {
      const auto& values = explorer_.statistics()[layer].get()->*by_head;
      if (head >= values.size()) continue;
      x.push_back(static_cast<double>(layer) - kSpread / 2 + step * static_cast<double>(head));
      y.push_back(values[head]);
      const ImVec2 dot = ImPlot::PlotToPixels(x.back(), y.back());
      const double distance = std::hypot(dot.x - mouse.x, dot.y - mouse.y);
      if (!ImPlot::IsPlotHovered() || distance > nearest) continue;
      nearest = distance;
      under_mouse = layer * heads + head;
    }
    ImPlotSpec spec;
    spec.Marker = ImPlotMarker_Circle;
    spec.MarkerSize = 4 * ImGui::GetStyle().FontScaleDpi;
    ImPlot::PlotScatter(("head " + std::to_string(head)).c_str(), x.data(), y.data(), static_cast<int>(x.size()), spec);
  }
  mark_shown(by_head, step);
  if (under_mouse) {
    const std::size_t layer = *under_mouse / heads, head = *under_mouse % heads;
    ImGui::SetTooltip("layer %zu, head %zu: %.3g", layer, head, (explorer_.statistics()[layer].get()->*by_head)[head]);
    if (ImGui::IsMouseClicked(ImGuiMouseButton_Left)) explorer_.pin(*under_mouse);
  }
  ImPlot::EndPlot();
  ImPlot::PopStyleVar(2);   // the axes are fitted at the end
}

// A ring around the head that the canvas shows, or around all of its layer's.
void PlotsPanel::mark_shown(std::vector<double> Reply::* by_head, double step) const {
  const View& view = explorer_.view;
  const auto layer = static_cast<std::size_t>(view.layer);
  if (layer >= explorer_.statistics().size()) return;
  const auto& values = explorer_.statistics()[layer].get()->*by_head;
  for (std::size_t head = 0; head < values.size(); ++head) {
    if (view.heads.fusion == Fusion::kOne && head != static_cast<std::size_t>(view.heads.head)) continue;
    const ImVec2 dot = ImPlot::PlotToPixels(static_cast<double>(layer) - kSpread / 2 + step * static_cast<double>(head), values[head]);
    const float scale = ImGui::GetStyle().FontScaleDpi;
    ImPlot::GetPlotDrawList()->AddCircle(dot, 6.5f * scale, ImGui::GetColorU32(ImGuiCol_Text), 0, 1.5f * scale);
  }
}

}  // namespace fovea::explore
