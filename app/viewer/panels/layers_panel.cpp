#include "app/viewer/panels/layers_panel.h"

#include <imgui.h>

#include <utility>

namespace fovea {
namespace {

constexpr const char* kBlendNames[] = {"Normal", "Multiply", "Screen", "Add"};

void show_style(Workspace& workspace, Layer& layer) {
  bool changed = false;
  float percent = layer.style.opacity * 100;
  if (ImGui::SliderFloat("Opacity", &percent, 0, 100, "%.0f %%", ImGuiSliderFlags_AlwaysClamp)) {
    layer.style.opacity = percent / 100;
    changed = true;
  }
  int blend = static_cast<int>(layer.style.blend);
  if (ImGui::Combo("Blend", &blend, kBlendNames, IM_ARRAYSIZE(kBlendNames))) {
    layer.style.blend = static_cast<Blend>(blend);
    changed = true;
  }
  if (layer.kind() == LayerKind::kHeat || layer.kind() == LayerKind::kImage) {
    int table = static_cast<int>(layer.style.colours);
    if (ImGui::Combo("Colours", &table, [](void*, int i) { return colour_table_name(static_cast<ColourTable>(i)); }, nullptr, kColourTables)) {
      layer.style.colours = static_cast<ColourTable>(table);
      changed = true;
    }
    const auto [low, high] = layer.value_limits();
    if (high > low) changed |= ImGui::DragFloatRange2("Range", &layer.style.low, &layer.style.high, (high - low) / 200, low, high, "%.4g", "%.4g");
  }
  changed |= layer.show_controls();
  if (changed) workspace.history.touch("Change " + layer.name);
}

void show_layers(Workspace& workspace) {
  LayerList& layers = workspace.layers;
  if (layers.empty()) {
    ImGui::TextDisabled("Open an image to see its layers.");
    return;
  }
  std::pair<std::size_t, std::size_t> move{0, 0};
  for (std::size_t i = layers.size(); i-- > 0;) {   // the topmost first, as they lie
    Layer& layer = layers.at(i);
    ImGui::PushID(layer.id.c_str());
    if (ImGui::Checkbox("##eye", &layer.style.visible)) workspace.history.touch("Show or hide " + layer.name);
    ImGui::SetItemTooltip("Show this layer");
    ImGui::SameLine();
    if (ImGui::Selectable(layer.name.c_str(), layers.selected() == &layer)) layers.select(layer.id);
    if (ImGui::BeginDragDropSource()) {
      ImGui::SetDragDropPayload("layer", &i, sizeof i);
      ImGui::TextUnformatted(layer.name.c_str());
      ImGui::EndDragDropSource();
    }
    if (ImGui::BeginDragDropTarget()) {
      if (const ImGuiPayload* payload = ImGui::AcceptDragDropPayload("layer")) move = {*static_cast<const std::size_t*>(payload->Data), i};
      ImGui::EndDragDropTarget();
    }
    ImGui::PopID();
  }
  if (move.first != move.second) {
    layers.move(move.first, move.second);
    workspace.history.touch("Order layers");
  }
  if (Layer* layer = layers.selected()) {
    ImGui::SeparatorText(layer->name.c_str());
    ImGui::PushItemWidth(ImGui::GetContentRegionAvail().x * 0.62f);
    show_style(workspace, *layer);
    ImGui::PopItemWidth();
  }
}

}  // namespace

void add_layers_panel(Workspace& workspace) {
  workspace.panels.add({.id = "layers", .title = "Layers", .place = DockPlace::kRight, .show = [&workspace] { show_layers(workspace); }, .tip = "What is shown, and how"});
}

}  // namespace fovea
