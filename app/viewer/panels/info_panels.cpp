#include "app/viewer/panels/info_panels.h"

#include <implot.h>

#include <algorithm>

#include "app/viewer/theme.h"

namespace fovea {
namespace {

constexpr double kMegabyte = 1024.0 * 1024.0;

void show_log(Messages& messages) {
  if (ImGui::SmallButton("Copy")) {
    std::string text;
    for (const Message& message : messages.all()) text += message.text + "\n";
    ImGui::SetClipboardText(text.c_str());
  }
  ImGui::SameLine();
  if (ImGui::SmallButton("Clear")) messages.clear();
  if (messages.all().empty()) ImGui::TextColored(theme_colours().muted, "Nothing has happened yet.");
  if (ImGui::BeginChild("##lines")) {
    for (const Message& message : messages.all()) {
      const ImVec4 colour = message.severity == Severity::kError     ? theme_colours().error
                            : message.severity == Severity::kWarning ? theme_colours().warning
                                                                     : ImGui::GetStyleColorVec4(ImGuiCol_Text);
      ImGui::TextColored(theme_colours().muted, "%7.1f s", message.time_s);
      ImGui::SameLine();
      ImGui::PushTextWrapPos(0);
      ImGui::PushStyleColor(ImGuiCol_Text, colour);
      if (message.repeats > 1) ImGui::Text("%s (%d times)", message.text.c_str(), message.repeats);
      else ImGui::TextUnformatted(message.text.c_str());
      ImGui::PopStyleColor();
      ImGui::PopTextWrapPos();
    }
    if (ImGui::GetScrollY() >= ImGui::GetScrollMaxY()) ImGui::SetScrollHereY(1);
  }
  ImGui::EndChild();
}

void show_budget(const char* name, std::int64_t bytes, std::int64_t budget_bytes, const std::function<void(std::int64_t)>& set_budget) {
  char text[64];
  std::snprintf(text, sizeof text, "%.0f of %.0f MB", static_cast<double>(bytes) / kMegabyte,
                static_cast<double>(budget_bytes) / kMegabyte);
  ImGui::TextUnformatted(name);
  ImGui::ProgressBar(budget_bytes > 0 ? static_cast<float>(static_cast<double>(bytes) / static_cast<double>(budget_bytes)) : 0, {-1, 0},
                     text);
  int megabytes = static_cast<int>(static_cast<double>(budget_bytes) / kMegabyte);
  ImGui::PushID(name);
  ImGui::SetNextItemWidth(-1);
  if (ImGui::SliderInt("##budget", &megabytes, 64, 8192, "Budget %d MB", ImGuiSliderFlags_Logarithmic | ImGuiSliderFlags_AlwaysClamp)) {
    set_budget(static_cast<std::int64_t>(megabytes) << 20);
  }
  ImGui::PopID();
}

void show_statistics(Workspace& workspace, const FrameTimes& times) {
  TilePool& pool = *workspace.tiles.pool;
  TileCache& cache = *workspace.tiles.cache;
  show_budget("Video memory", pool.bytes(), pool.budget_bytes(), [&](std::int64_t bytes) { pool.set_budget_bytes(bytes); });
  show_budget("Tiles in main memory", cache.bytes(), cache.budget_bytes(), [&](std::int64_t bytes) { cache.set_budget_bytes(bytes); });
  std::size_t waiting = 0;
  for (const auto& layer : workspace.layers.all()) {
    if (const auto* tiled = dynamic_cast<const TiledLayer*>(layer.get())) waiting += tiled->waiting_tiles();
  }
  ImGui::Text("Tiles %zu, waiting %zu", pool.tiles(), waiting);
  ImGui::Text("Frame: slowest of the last %zu: %.2f ms", FrameTimes::kKept, times.slowest_ms());
  ImGui::SetItemTooltip("Our own work in a frame, without waiting for the screen");
  if (ImPlot::BeginPlot("##frames", {-1, ImGui::GetFontSize() * 6}, ImPlotFlags_CanvasOnly | ImPlotFlags_NoInputs)) {
    ImPlot::SetupAxes(nullptr, nullptr, ImPlotAxisFlags_NoDecorations, ImPlotAxisFlags_AutoFit | ImPlotAxisFlags_NoGridLines);
    ImPlot::SetupAxisLimits(ImAxis_X1, 0, static_cast<double>(FrameTimes::kKept), ImPlotCond_Always);
    ImPlotSpec spec;
    spec.Offset = times.next();
    ImPlot::PlotLine("ms", times.ring().data(), static_cast<int>(FrameTimes::kKept), 1, 0, spec);
    ImPlot::EndPlot();
  }
}

}  // namespace

double FrameTimes::slowest_ms() const { return *std::ranges::max_element(times_); }

void add_log_panel(Workspace& workspace) {
  workspace.panels.add({.id = "log", .title = "Log", .place = DockPlace::kBottom, .show = [&workspace] { show_log(workspace.messages); },
                        .open = false,
                        .tip = "What the program had to say"});
}

void add_statistics_panel(Workspace& workspace, const FrameTimes& times) {
  workspace.panels.add({.id = "statistics", .title = "Statistics", .place = DockPlace::kRightBelow,
                        .show = [&workspace, &times] { show_statistics(workspace, times); },
                        .open = false, .tip = "Memory, tiles and frame times; budgets"});
}

}  // namespace fovea
