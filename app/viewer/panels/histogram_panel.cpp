#include "app/viewer/panels/histogram_panel.h"

#include <implot.h>

#include <algorithm>
#include <array>
#include <memory>

#include "app/viewer/layers/image_layer.h"
#include "app/viewer/theme.h"

namespace fovea {
namespace {

constexpr ImVec4 kChannelColours[] = {{0.94f, 0.36f, 0.32f, 1}, {0.35f, 0.78f, 0.38f, 1}, {0.36f, 0.58f, 0.98f, 1}};

struct HistogramPanel {
  Workspace& workspace;
  ImageLayer::Histogram histogram;
  std::vector<TileKey> tiles;                // of which the histogram is
  const ImageLayer* of = nullptr;
  bool logarithmic = false;

  void show() {
    auto* image = dynamic_cast<ImageLayer*>(workspace.layers.find("image"));
    if (!image) return ImGui::TextColored(theme_colours().muted, "Open an image to see its values.");
    if (of != image || tiles != image->shown_tiles() || !image->complete()) {
      histogram = image->histogram();
      tiles = image->shown_tiles(), of = image;
    }
    LayerStyle& style = image->style;
    const LayerStyle before = style;
    if (ImGui::Button("Auto")) image->stretch_contrast(histogram);
    ImGui::SetItemTooltip("Black and white where 0.2 %% of the values in sight lie beyond");
    ImGui::SameLine();
    if (ImGui::Button("Reset")) style.low = 0, style.high = 1;
    ImGui::SameLine();
    ImGui::Checkbox("Log", &logarithmic);
    ImGui::SameLine();
    const int white = image->white_level();
    ImGui::TextColored(theme_colours().muted, "black %.0f, white %.0f of %d", style.low * static_cast<float>(white),
                       style.high * static_cast<float>(white), white);
    plot(style, white);
    if (!(style == before)) workspace.history.touch("Change contrast");
  }

  void plot(LayerStyle& style, int white) {
    ImPlot::PushStyleVar(ImPlotStyleVar_PlotMinSize, ImVec2(40, 30));   // the panel is low
    const bool visible = ImPlot::BeginPlot("##histogram", {-1, -1}, ImPlotFlags_NoLegend | ImPlotFlags_NoMenus | ImPlotFlags_NoBoxSelect);
    ImPlot::PopStyleVar();
    if (!visible) return;
    ImPlot::SetupAxes(nullptr, nullptr, ImPlotAxisFlags_None, ImPlotAxisFlags_NoDecorations | ImPlotAxisFlags_AutoFit);
    ImPlot::SetupAxisLimits(ImAxis_X1, -0.01 * white, 1.01 * white, ImPlotCond_Once);
    if (logarithmic) ImPlot::SetupAxisScale(ImAxis_Y1, ImPlotScale_SymLog);
    const double bin = (white + 1.0) / ImageLayer::Histogram::kBins;
    for (int c = 0; c < histogram.channels; ++c) {
      ImPlotSpec spec;
      spec.LineColor = histogram.channels == 1 ? ImGui::GetStyleColorVec4(ImGuiCol_Text) : kChannelColours[c];
      ImPlot::PlotLine(c == 0   ? "red"
                       : c == 1 ? "green"
                                : "blue",
                       histogram.counts[static_cast<std::size_t>(c)].data(), ImageLayer::Histogram::kBins, bin, 0, spec);
    }
    double low = style.low * white, high = style.high * white;
    const ImVec4 dark{0.55f, 0.55f, 0.55f, 1}, light = theme_colours().accent;
    if (ImPlot::DragLineX(0, &low, dark, 2)) style.low = static_cast<float>(std::clamp(low, 0.0, high - bin) / white);
    if (ImPlot::DragLineX(1, &high, light, 2)) style.high = static_cast<float>(std::max(high, low + bin) / white);
    ImPlot::EndPlot();
  }
};

}  // namespace

void add_histogram_panel(Workspace& workspace) {
  auto panel = std::make_shared<HistogramPanel>(workspace);
  workspace.panels.add({.id = "histogram", .title = "Histogram", .place = DockPlace::kBottom, .show = [panel] { panel->show(); },
                        .open = false,
                        .shortcut = ImGuiKey_I, .tip = "The values in sight; drag the lines to choose what is black and what is white"});
}

}  // namespace fovea
