#include "app/viewer/layers/image_layer.h"

#include <imgui.h>

#include <cstring>

#include "app/viewer/canvas/image_tile_source.h"
#include "app/viewer/layers/layer_painter.h"

namespace fovea {

struct ImageLayer::Opened {
  std::shared_ptr<PyramidImage> image;
  std::string name;
  Opened(const std::filesystem::path& path, const std::filesystem::path& cache_file, std::int64_t max_kept_bytes)
      : image(std::make_shared<PyramidImage>(path, cache_file, ImageLimits{.max_kept_bytes = max_kept_bytes})), name(path.filename().string()) {}
};

ImageLayer::ImageLayer(const std::filesystem::path& path, const std::filesystem::path& cache_file, const TileServices& services)
    : ImageLayer(Opened(path, cache_file, services.cache->budget_bytes() / 2), services) {}

ImageLayer::ImageLayer(Opened opened, const TileServices& services)
    : TiledLayer({.kind = LayerKind::kImage, .id = "image", .name = opened.name,
                  .source = [image = opened.image] { return std::make_unique<ImageTileSource>(image); },
                  .shape = {opened.image->info().width, opened.image->info().height, opened.image->levels()}, .fragment_shader = "tile",
                  .version = [image = opened.image] { return image->version(); }}, services),
      info_(opened.image->info()), image_(opened.image), builder_(std::make_shared<PyramidBuilder>(image_, services.wake)) {
  style.colours = ColourTable::kGrey;
}

ImageLayer::~ImageLayer() {
  if (services().bury) services().bury(std::move(builder_));
}

void ImageLayer::bind(const LayerFrame& frame) {
  // Textures give 0 ... 1 for the whole range of 8 or 16 bits; limits are shares of the file's white level.
  const float unit = info_.bits == 8 ? 1 : static_cast<float>(white_level()) / 65535.0f;
  glUniform2f(gl::uniform(program(), "contrast"), style.low * unit, style.high * unit);
  glUniform1f(gl::uniform(program(), "inverse_gamma"), 1 / appearance.gamma);
  glUniform3f(gl::uniform(program(), "channel_mask"), appearance.red, appearance.green, appearance.blue);
  glUniform1i(gl::uniform(program(), "false_colour"), appearance.false_colour ? static_cast<int>(style.colours) : -1);
  glUniform1i(gl::uniform(program(), "tables"), 1);
  glActiveTexture(GL_TEXTURE1);
  glBindTexture(GL_TEXTURE_2D, frame.painter.colour_tables());
}

std::string ImageLayer::describe(Point p) const {
  if (!bounds().contains(p)) return {};
  const auto x = static_cast<std::int64_t>(p.x), y = static_cast<std::int64_t>(p.y);
  const TileKey key{0, static_cast<std::int32_t>(x / kTileSide), static_cast<std::int32_t>(y / kTileSide)};
  const LoadedTile* tile = probe(key);
  if (!tile) return "…";
  const auto at = static_cast<std::size_t>(4 * ((y % kTileSide + kTileBorder) * kTileTexture + x % kTileSide + kTileBorder));
  const auto sample = [&](std::size_t channel) {
    if (tile->format == TileFormat::kColour8) return int{tile->bytes[at + channel]};
    std::uint16_t value = 0;
    std::memcpy(&value, tile->bytes.data() + 2 * (at + channel), 2);
    return int{value};
  };
  const std::string red = std::to_string(sample(0));
  return info_.bands < 3 ? red : red + " " + std::to_string(sample(1)) + " " + std::to_string(sample(2));
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
