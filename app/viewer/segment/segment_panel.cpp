#include "app/viewer/segment/segment_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cstdio>

#include "app/viewer/panels/widgets.h"
#include "app/viewer/segment/segment_feature.h"
#include "app/viewer/theme.h"
#include "core/image/pixel_size.h"

namespace fovea {
namespace {

ImVec4 to_colour(const std::array<std::uint8_t, 3>& colour) {
  return {static_cast<float>(colour[0]) / 255, static_cast<float>(colour[1]) / 255, static_cast<float>(colour[2]) / 255, 1};
}

}  // namespace

std::string area_name(std::int64_t pixels, std::optional<double> pixel_size_m) {
  char text[40];
  if (pixel_size_m) {
    const double m2 = static_cast<double>(pixels) * *pixel_size_m * *pixel_size_m;
    if (m2 >= 1e6) std::snprintf(text, sizeof text, "%.3g km²", m2 / 1e6);
    else if (m2 >= 1e4) std::snprintf(text, sizeof text, "%.3g ha", m2 / 1e4);
    else std::snprintf(text, sizeof text, "%.3g m²", m2);
  } else if (pixels >= 1000000) {
    std::snprintf(text, sizeof text, "%.3g MP", static_cast<double>(pixels) / 1e6);
  } else {
    std::snprintf(text, sizeof text, "%lld px", static_cast<long long>(pixels));
  }
  return text;
}

void SegmentPanel::show() {
  if (!workspace_.image) return muted_text("Open an image, then let the model say what is where in it.");
  ImGui::PushItemWidth(ImGui::GetContentRegionAvail().x * 0.62f);
  show_run();
  if (view_.shown) {
    show_classes(*view_.shown);
    if (!view_.shown->probabilities.empty()) show_probabilities(*view_.shown);
  }
  ImGui::PopItemWidth();
}

void SegmentPanel::show_run() {
  show_model_combo(workspace_.model);
  if (job_.running()) {
    if (show_progress(job_.state())) workspace_.actions.run("segment.cancel");
    return;
  }
  action_button(workspace_.actions, "segment.view", "Segment view");
  ImGui::SameLine();
  action_button(workspace_.actions, "segment.image", "Segment image");
  bool probabilities = view_.probabilities == KeepProbabilities::kYes;
  if (ImGui::Checkbox("Keep probabilities", &probabilities)) {
    view_.probabilities = probabilities ? KeepProbabilities::kYes : KeepProbabilities::kNo;
  }
  ImGui::SetItemTooltip("How sure the model is of every class at every pixel; takes more disk");
  if (!view_.shown) return muted_text("Every pixel gets a class. The same as the command fovea segment does, byte for byte.");
  char text[160];
  const Segmentation& made = *view_.shown;
  std::snprintf(text, sizeof text, "%s: %lld × %lld px in %.1f s, %s, %s", made.region_level0 ? "Region" : "Whole image",
                static_cast<long long>(made.area.width), static_cast<long long>(made.area.height), made.seconds, made.model_name.c_str(),
                made.device.c_str());
  muted_text(text);
}

void SegmentPanel::show_classes(const Segmentation& made) {
  ImGui::SeparatorText("Classes");
  auto* layer = dynamic_cast<LabelLayer*>(workspace_.layers.find(kSegmentationLayer));
  if (!layer) return;
  if (!ImGui::BeginTable("##classes", 4, ImGuiTableFlags_SizingFixedFit)) return;
  ImGui::TableSetupColumn("eye");
  ImGui::TableSetupColumn("name", ImGuiTableColumnFlags_WidthStretch, 0.45f);
  ImGui::TableSetupColumn("share", ImGuiTableColumnFlags_WidthStretch, 0.55f);
  ImGui::TableSetupColumn("area");
  for (std::size_t i = 0; i < made.classes.size(); ++i) show_class_row(made, i, layer);
  ImGui::EndTable();
  if (made.nodata_pixels > 0) muted_text("Without data: " + area_text(made.nodata_pixels));
  const auto set_all = [&](bool visible) {
    for (LabelClass& entry : layer->entries) entry.visible = visible;
    workspace_.history.touch("Show or hide classes");
  };
  if (ImGui::Button("All")) set_all(true);
  ImGui::SameLine();
  if (ImGui::Button("None")) set_all(false);
  ImGui::SameLine();
  action_button(workspace_.actions, "export.mask", "Save mask…");
}

void SegmentPanel::show_class_row(const Segmentation& made, std::size_t index, LabelLayer* layer) {
  LabelClass& entry = layer->entries[index];
  const std::int64_t pixels = index < made.class_pixels.size() ? made.class_pixels[index] : 0, all = made.area.width * made.area.height;
  const double share = all > 0 ? static_cast<double>(pixels) / static_cast<double>(all) : 0;
  ImGui::PushID(static_cast<int>(index));
  ImGui::TableNextRow();
  ImGui::TableNextColumn();
  if (eye_button("##eye", entry.visible)) workspace_.history.touch("Show or hide " + entry.name);
  ImGui::SetItemTooltip("Show or hide this class");
  ImGui::SameLine();
  ImVec4 colour = to_colour(entry.colour);
  if (ImGui::ColorEdit3("##colour", &colour.x, ImGuiColorEditFlags_NoInputs | ImGuiColorEditFlags_NoLabel)) {
    entry.colour = {static_cast<std::uint8_t>(colour.x * 255 + 0.5f), static_cast<std::uint8_t>(colour.y * 255 + 0.5f),
                    static_cast<std::uint8_t>(colour.z * 255 + 0.5f)};
    workspace_.history.touch("Change the colour of " + entry.name);
  }
  ImGui::TableNextColumn();
  ImGui::AlignTextToFramePadding();
  if (ImGui::Selectable(entry.name.c_str())) show_only(*layer, index);
  ImGui::SetItemTooltip("Click: show only this class, or all again");
  ImGui::TableNextColumn();
  char text[16];
  std::snprintf(text, sizeof text, share > 0 && share < 0.0005 ? "< 0.1 %%" : "%.1f %%", share * 100);
  ImGui::SetCursorPosY(ImGui::GetCursorPosY() + ImGui::GetFrameHeight() * 0.225f);
  ImGui::PushStyleColor(ImGuiCol_PlotHistogram, to_colour(entry.colour));
  ImGui::ProgressBar(static_cast<float>(share), {-1, ImGui::GetFrameHeight() * 0.55f}, "");
  ImGui::PopStyleColor();
  ImGui::SetItemTooltip("%lld pixels", static_cast<long long>(pixels));
  ImGui::TableNextColumn();
  ImGui::AlignTextToFramePadding();
  ImGui::SetCursorPosX(ImGui::GetCursorPosX() + ImGui::CalcTextSize("100.0 %").x - ImGui::CalcTextSize(text).x);
  ImGui::TextUnformatted(text);
  ImGui::SetItemTooltip("%s", area_text(pixels).c_str());
  ImGui::PopID();
}

void SegmentPanel::show_only(LabelLayer& layer, std::size_t index) {
  const bool alone = std::ranges::count_if(layer.entries, &LabelClass::visible) == 1 && layer.entries[index].visible;
  for (std::size_t i = 0; i < layer.entries.size(); ++i) layer.entries[i].visible = alone || i == index;
  workspace_.history.touch("Show only " + layer.entries[index].name);
}

std::string SegmentPanel::area_text(std::int64_t pixels) const { return area_name(pixels, pixel_size_metres(workspace_.image->info)); }

void SegmentPanel::show_probabilities(const Segmentation& made) {
  const auto name = [&](int index) { return index < 0 ? std::string("none") : made.classes[static_cast<std::size_t>(index)].name; };
  if (ImGui::BeginCombo("Probability", name(view_.probability_class).c_str())) {
    for (int i = -1; i < static_cast<int>(made.classes.size()); ++i) {
      if (!ImGui::Selectable(name(i).c_str(), i == view_.probability_class)) continue;
      view_.probability_class = i;
      workspace_.history.touch("Choose a probability");
    }
    ImGui::EndCombo();
  }
  ImGui::SetItemTooltip("A layer with the probability of one class");
}

}  // namespace fovea
