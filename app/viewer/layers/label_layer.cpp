#include "app/viewer/layers/label_layer.h"

#include <imgui.h>

#include <cstdio>

#include "app/viewer/layers/layer_painter.h"
#include "app/viewer/panels/widgets.h"

namespace fovea {
namespace {

constexpr float kOpacity = 0.45f;        // as overlays of fovea segment

}  // namespace

LabelLayer::LabelLayer(std::string layer_id, std::string layer_name, ValueMap map, std::vector<LabelClass> classes,
                       const TileServices& services)
    : TiledLayer({.kind = LayerKind::kLabels,
                  .id = std::move(layer_id),
                  .name = std::move(layer_name),
                  .source = map.source,
                  .shape = map.shape,
                  .fragment_shader = "label"},
                 services),
      entries(std::move(classes)),
      map_(std::move(map)) {
  style.opacity = kOpacity;
}

void LabelLayer::bind(const LayerFrame&) {
  std::array<std::uint8_t, 256 * 4> colours{};   // 1 KB a frame: cheaper than noticing changes
  for (std::size_t i = 0; i < std::min<std::size_t>(entries.size(), 256); ++i) {
    std::copy_n(entries[i].colour.begin(), 3, colours.begin() + static_cast<std::ptrdiff_t>(4 * i));
    colours[4 * i + 3] = entries[i].visible ? 255 : 0;
  }
  if (!palette_) palette_ = gl::create_texture();
  glUniform1i(gl::uniform(program(), "palette"), 1);
  glActiveTexture(GL_TEXTURE1);
  glBindTexture(GL_TEXTURE_2D, palette_.id());
  glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
  glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 256, 1, 0, GL_RGBA, GL_UNSIGNED_BYTE, colours.data());
  gl::set_sampling(GL_NEAREST);
}

std::string LabelLayer::describe(Point p) const {
  if (!bounds().contains(p)) return {};
  const auto index = stored_value(p);
  if (!index) return "…";
  return *index < entries.size() ? entries[*index].name : "no class";
}

bool LabelLayer::show_controls() {
  bool changed = false;
  for (std::size_t i = 0; !classes_elsewhere && i < entries.size(); ++i) {
    ImGui::PushID(static_cast<int>(i));
    LabelClass& entry = entries[i];
    changed |= eye_button("##visible", entry.visible);
    ImGui::SetItemTooltip("Show or hide this class");
    ImGui::SameLine();
    float colour[3] = {static_cast<float>(entry.colour[0]) / 255, static_cast<float>(entry.colour[1]) / 255,
                       static_cast<float>(entry.colour[2]) / 255};
    if (ImGui::ColorEdit3(entry.name.c_str(), colour, ImGuiColorEditFlags_NoInputs)) {
      for (std::size_t c = 0; c < 3; ++c) entry.colour[c] = static_cast<std::uint8_t>(colour[c] * 255 + 0.5f);
      changed = true;
    }
    ImGui::PopID();
  }
  return changed;
}

ProbabilityLayer::ProbabilityLayer(std::string layer_id, std::string layer_name, ValueMap map, const TileServices& services)
    : TiledLayer({.kind = LayerKind::kHeat, .id = std::move(layer_id), .name = std::move(layer_name), .source = map.source,
                  .shape = map.shape,
                  .fragment_shader = "value"}, services),
      map_(std::move(map)) {
  style.opacity = 0.7f;
}

void ProbabilityLayer::bind(const LayerFrame& frame) {
  glUniform1i(gl::uniform(program(), "tables"), 1);
  glUniform1i(gl::uniform(program(), "table"), static_cast<int>(style.colours));
  glUniform2f(gl::uniform(program(), "range"), style.low, style.high);
  glActiveTexture(GL_TEXTURE1);
  glBindTexture(GL_TEXTURE_2D, frame.painter.colour_tables());
}

std::string ProbabilityLayer::describe(Point p) const {
  if (!bounds().contains(p)) return {};
  const auto value = stored_value(p);
  if (!value) return "…";
  char text[16];
  std::snprintf(text, sizeof text, "%.2f", *value / 255.0);
  return text;
}

}  // namespace fovea
