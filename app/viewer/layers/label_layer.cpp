#include "app/viewer/layers/label_layer.h"

#include <imgui.h>

#include "app/viewer/canvas/label_tile_source.h"

namespace fovea {

LabelLayer::LabelLayer(std::string layer_id, std::string layer_name, std::shared_ptr<const LabelMap> map, std::vector<LabelClass> classes, TileServices services)
    : TiledLayer({.kind = LayerKind::kLabels, .id = std::move(layer_id), .name = std::move(layer_name),
                  .source = [map] { return std::make_unique<LabelTileSource>(std::shared_ptr<const ImageU8>(map, &map->classes)); },
                  .shape = LabelTileSource(std::shared_ptr<const ImageU8>(map, &map->classes)).shape(), .fragment_shader = "label"}, services),
      entries(std::move(classes)), map_(std::move(map)), palette_(gl::create_texture()) {
  style.opacity = 0.5f;
}

void LabelLayer::bind(const LayerFrame&) {
  std::array<std::uint8_t, 256 * 4> colours{};   // 1 KB a frame: cheaper than noticing changes
  for (std::size_t i = 0; i < std::min<std::size_t>(entries.size(), 256); ++i) {
    std::copy_n(entries[i].colour.begin(), 3, colours.begin() + static_cast<std::ptrdiff_t>(4 * i));
    colours[4 * i + 3] = entries[i].visible ? 255 : 0;
  }
  glUniform1i(gl::uniform(program(), "palette"), 1);
  glActiveTexture(GL_TEXTURE1);
  glBindTexture(GL_TEXTURE_2D, palette_.id());
  glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
  glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 256, 1, 0, GL_RGBA, GL_UNSIGNED_BYTE, colours.data());
  gl::set_sampling(GL_NEAREST);
}

std::string LabelLayer::describe(Point p) const {
  const RectD& rect = map_->rect_level0;
  if (!rect.contains(p)) return {};
  const auto x = static_cast<std::int64_t>((p.x - rect.x) / rect.width * static_cast<double>(map_->classes.width()));
  const auto y = static_cast<std::int64_t>((p.y - rect.y) / rect.height * static_cast<double>(map_->classes.height()));
  const std::size_t index = map_->classes.row(y)[x];
  return index < entries.size() ? entries[index].name : "no class";
}

bool LabelLayer::show_controls() {
  bool changed = false;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    ImGui::PushID(static_cast<int>(i));
    LabelClass& entry = entries[i];
    changed |= ImGui::Checkbox("##visible", &entry.visible);
    ImGui::SameLine();
    float colour[3] = {static_cast<float>(entry.colour[0]) / 255, static_cast<float>(entry.colour[1]) / 255, static_cast<float>(entry.colour[2]) / 255};
    if (ImGui::ColorEdit3(entry.name.c_str(), colour, ImGuiColorEditFlags_NoInputs)) {
      for (std::size_t c = 0; c < 3; ++c) entry.colour[c] = static_cast<std::uint8_t>(colour[c] * 255 + 0.5f);
      changed = true;
    }
    ImGui::PopID();
  }
  return changed;
}

}  // namespace fovea
