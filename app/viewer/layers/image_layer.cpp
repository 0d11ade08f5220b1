#include "app/viewer/layers/image_layer.h"

#include <imgui.h>

#include "app/viewer/canvas/image_tile_source.h"
#include "app/viewer/layers/layer_painter.h"

namespace fovea {

struct ImageLayer::Opened {
  ImageInfo info;
  PyramidShape shape;
  TileSourceFactory source;
  std::string name;
  Opened(const std::filesystem::path& path, const std::filesystem::path& cache_file) : name(path.filename().string()) {
    const ImageTileSource first(path, cache_file);
    info = first.pyramid().info();
    shape = first.shape();
    source = [path, cache_file] { return std::make_unique<ImageTileSource>(path, cache_file); };
  }
};

ImageLayer::ImageLayer(const std::filesystem::path& path, const std::filesystem::path& cache_file, const TileServices& services)
    : ImageLayer(Opened(path, cache_file), services) {}

ImageLayer::ImageLayer(Opened opened, const TileServices& services)
    : TiledLayer({.kind = LayerKind::kImage, .id = "image", .name = opened.name, .source = std::move(opened.source), .shape = opened.shape,
                  .fragment_shader = "tile"}, services),
      info_(std::move(opened.info)) {
  style.colours = ColourTable::kGrey;
}

void ImageLayer::bind(const LayerFrame& frame) {
  glUniform2f(gl::uniform(program(), "contrast"), style.low, style.high);
  glUniform1f(gl::uniform(program(), "inverse_gamma"), 1 / appearance.gamma);
  glUniform3f(gl::uniform(program(), "channel_mask"), appearance.red, appearance.green, appearance.blue);
  glUniform1i(gl::uniform(program(), "false_colour"), appearance.false_colour ? static_cast<int>(style.colours) : -1);
  glUniform1i(gl::uniform(program(), "tables"), 1);
  glActiveTexture(GL_TEXTURE1);
  glBindTexture(GL_TEXTURE_2D, frame.painter.colour_tables());
}

bool ImageLayer::show_controls() {
  bool changed = ImGui::SliderFloat("Gamma", &appearance.gamma, 0.2f, 5.0f, "%.2f", ImGuiSliderFlags_Logarithmic);
  changed |= ImGui::Checkbox("Red", &appearance.red);
  ImGui::SameLine();
  changed |= ImGui::Checkbox("Green", &appearance.green);
  ImGui::SameLine();
  changed |= ImGui::Checkbox("Blue", &appearance.blue);
  changed |= ImGui::Checkbox("False colour", &appearance.false_colour);
  ImGui::SetItemTooltip("Show the mean of the channels in the colours chosen above");
  bool smooth = appearance.magnification == Magnification::kSmooth;
  ImGui::SameLine();
  if (ImGui::Checkbox("Smooth", &smooth)) {
    appearance.magnification = smooth ? Magnification::kSmooth : Magnification::kNearest;
    changed = true;
  }
  ImGui::SetItemTooltip("Interpolate between pixels beyond 1:1");
  return changed;
}

}  // namespace fovea
