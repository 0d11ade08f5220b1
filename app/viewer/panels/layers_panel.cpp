#include "app/viewer/panels/layers_panel.h"

#include <imgui.h>

#include <utility>

#include "app/viewer/panels/widgets.h"
#include "app/viewer/theme.h"

namespace fovea {
namespace {

constexpr const char* kBlendNames[] = {"Normal", "Multiply", "Screen", "Add"};
constexpr std::size_t kDigits = 9;       // layers that a key shows and hides

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
  if (layer.kind() == LayerKind::kHeat) {
    changed |= colour_combo("Colours", layer.style.colours);
    const auto [low, high] = layer.value_limits();
    if (high > low) {
      changed |= ImGui::DragFloatRange2("Range", &layer.style.low, &layer.style.high, (high - low) / 200, low, high, "%.3g", "%.3g");
    }
  }
  changed |= layer.show_controls();
  if (changed) workspace.history.touch("Change " + layer.name);
}

// One line of the list: eye, name, the key that toggles it. Returns where a layer was dropped onto it.
struct Move { std::size_t from = 0, to = 0; };
void show_row(Workspace& workspace, std::size_t index, Move& move) {
  LayerList& layers = workspace.layers;
  Layer& layer = layers.at(index);
  ImGui::PushID(layer.id.c_str());
  if (eye_button("##eye", layer.style.visible)) workspace.history.touch("Show or hide " + layer.name);
  ImGui::SetItemTooltip("Show or hide this layer");
  ImGui::SameLine(0, ImGui::GetStyle().ItemInnerSpacing.x);
  const std::string key = index < kDigits ? std::to_string(index + 1) : "";
  const float right = ImGui::GetContentRegionAvail().x;
  if (!layer.style.visible) ImGui::PushStyleColor(ImGuiCol_Text, theme_colours().muted);
  const bool double_clicked = ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left);
  ImGui::PushStyleVar(ImGuiStyleVar_SelectableTextAlign, ImVec2(0, 0.5f));
  const bool clicked = ImGui::Selectable(layer.name.c_str(), layers.selected() == &layer, ImGuiSelectableFlags_AllowDoubleClick,
                                         {right, ImGui::GetFrameHeight()});
  ImGui::PopStyleVar();
  if (clicked) {
    layers.select(layer.id);
    if (double_clicked) workspace.camera.look_at_rect(layer.bounds().x, layer.bounds().y, {layer.bounds().width, layer.bounds().height});
  }
  if (!layer.style.visible) ImGui::PopStyleColor();
  ImGui::SetItemTooltip("Drag: another order. Double-click: look at it.%s%s", key.empty() ? "" : " Key: ", key.c_str());
  if (ImGui::BeginDragDropSource()) {
    ImGui::SetDragDropPayload("layer", &index, sizeof index);
    ImGui::TextUnformatted(layer.name.c_str());
    ImGui::EndDragDropSource();
  }
  if (ImGui::BeginDragDropTarget()) {
    if (const ImGuiPayload* payload = ImGui::AcceptDragDropPayload("layer")) {
      move = {*static_cast<const std::size_t*>(payload->Data), index};
    }
    ImGui::EndDragDropTarget();
  }
  if (ImGui::BeginPopupContextItem("##more")) {
    layers.select(layer.id);
    if (ImGui::MenuItem("Look at it")) {
      workspace.camera.look_at_rect(layer.bounds().x, layer.bounds().y, {layer.bounds().width, layer.bounds().height});
    }
    if (ImGui::MenuItem("Remove", "Delete", false, layer.removable)) workspace.actions.run("layer.remove");
    ImGui::EndPopup();
    if (layers.size() <= index || &layers.at(index) != &layer) return ImGui::PopID();   // it is gone
  }
  const ImVec2 high = ImGui::GetItemRectMax();
  if (!key.empty()) {
    const ImVec2 size = ImGui::CalcTextSize(key.c_str());
    ImGui::GetWindowDrawList()->AddText({high.x - size.x - 4, (ImGui::GetItemRectMin().y + high.y - size.y) / 2},
                                        ImGui::GetColorU32(theme_colours().muted), key.c_str());
  }
  ImGui::PopID();
}

// Which layers are on one side of the line only.
void show_curtain(Workspace& workspace) {
  Curtain& curtain = workspace.comparison.curtain;
  ImGui::SeparatorText("Curtain");
  const auto side = [&](const char* label, std::string& id) {
    const Layer* chosen = workspace.layers.find(id);
    if (!ImGui::BeginCombo(label, chosen ? chosen->name.c_str() : "nothing more")) return;
    if (ImGui::Selectable("nothing more", !chosen)) {
      id.clear();
      workspace.history.touch("Change curtain");
    }
    for (std::size_t i = workspace.layers.size(); i-- > 0;) {
      const Layer& layer = workspace.layers.at(i);
      if (!ImGui::Selectable((layer.name + "##" + layer.id).c_str(), &layer == chosen)) continue;
      id = layer.id;
      workspace.history.touch("Change curtain");
    }
    ImGui::EndCombo();
  };
  side("Left only", curtain.left);
  side("Right only", curtain.right);
}

void show_layers(Workspace& workspace) {
  LayerList& layers = workspace.layers;
  if (layers.empty()) return muted_text("Open an image to see its layers.");
  Move move;
  for (std::size_t i = layers.size(); i-- > 0 && i < layers.size();) show_row(workspace, i, move);   // the topmost first, as they lie
  if (move.from != move.to) {
    layers.move(move.from, move.to);
    workspace.history.touch("Order layers");
  }
  ImGui::PushItemWidth(ImGui::GetContentRegionAvail().x * 0.62f);
  if (Layer* layer = layers.selected()) {
    ImGui::SeparatorText(layer->name.c_str());
    show_style(workspace, *layer);
  }
  if (workspace.comparison.curtain.on) show_curtain(workspace);
  ImGui::PopItemWidth();
}

}  // namespace

void add_layers_panel(Workspace& workspace) {
  workspace.panels.add({.id = "layers", .title = "Layers", .place = DockPlace::kRight, .show = [&workspace] { show_layers(workspace); },
                        .tip = "What is shown, and how"});
}

}  // namespace fovea
