#include "app/viewer/layers/image_layer.h"

#include <imgui.h>

#include <cstring>
#include <numeric>

#include "app/viewer/canvas/image_tile_source.h"
#include "app/viewer/layers/layer_painter.h"
#include "app/viewer/panels/widgets.h"

namespace fovea {

namespace {

int sample_of(const LoadedTile& tile, std::size_t index) {
  if (tile.format == TileFormat::kColour8) return tile.bytes[index];
  std::uint16_t value = 0;
  std::memcpy(&value, tile.bytes.data() + 2 * index, 2);
  return value;
}

}  // namespace

struct ImageLayer::Opened {
  std::shared_ptr<PyramidImage> image;
  std::filesystem::path path;
  std::string name;
  Opened(const std::filesystem::path& file, const std::filesystem::path& cache_file, std::int64_t max_kept_bytes)
      : image(std::make_shared<PyramidImage>(file, cache_file, ImageLimits{.max_kept_bytes = max_kept_bytes})),
        path(file),
        name(file.filename().string()) {}
};

ImageLayer::ImageLayer(const std::filesystem::path& path, const std::filesystem::path& cache_file, const TileServices& services)
    : ImageLayer(Opened(path, cache_file, services.cache->budget_bytes() / 2), services) {}

ImageLayer::ImageLayer(Opened opened, const TileServices& services)
    : TiledLayer({.kind = LayerKind::kImage,
                  .id = "image",
                  .name = opened.name,
                  .source = [image = opened.image] { return std::make_unique<ImageTileSource>(image); },
                  .shape = {opened.image->info().width, opened.image->info().height, opened.image->levels()},
                  .fragment_shader = "tile",
                  .version = [image = opened.image] { return image->version(); }},
                 services),
      path_(opened.path),
      info_(opened.image->info()),
      image_(opened.image),
      builder_(std::make_shared<PyramidBuilder>(image_, services.wake)) {
  style.colours = ColourTable::kGrey;
  contrast_is_open = info_.bits > 8;
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
  const std::string red = std::to_string(sample_of(*tile, at));
  return info_.bands < 3 ? red : red + " " + std::to_string(sample_of(*tile, at + 1)) + " " + std::to_string(sample_of(*tile, at + 2));
}

double ImageLayer::Histogram::quantile(double share) const {
  double total = 0, below = 0;
  for (int c = 0; c < channels; ++c) {
    total += std::accumulate(counts[static_cast<std::size_t>(c)].begin(), counts[static_cast<std::size_t>(c)].end(), 0.0);
  }
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    for (int c = 0; c < channels; ++c) below += counts[static_cast<std::size_t>(c)][bin];
    if (total > 0 && below >= share * total) return (static_cast<double>(bin) + (share > 0.5 ? 1 : 0)) / kBins;
  }
  return 1;
}

void ImageLayer::stretch_contrast(const Histogram& values) {
  style.low = static_cast<float>(values.quantile(kClipped));
  style.high = std::max(style.low + 1.0f / Histogram::kBins, static_cast<float>(values.quantile(1 - kClipped)));
}

ImageLayer::Histogram ImageLayer::histogram() const {
  Histogram result{.channels = info_.bands < 3 ? 1 : 3};
  const int white = white_level();
  const auto bin = [&](int value) {
    return static_cast<std::size_t>(std::min(value * Histogram::kBins / (white + 1), Histogram::kBins - 1));
  };
  for (const TileKey& key : shown_tiles()) {
    const LoadedTile* tile = cached(key);
    if (!tile) continue;
    const Rect own = tile_rect(key, shape().level_width(key.level), shape().level_height(key.level));
    for (std::int64_t y = kTileBorder; y < own.height + kTileBorder; y += 4) {
      for (std::int64_t x = kTileBorder; x < own.width + kTileBorder; x += 4) {
        const auto at = static_cast<std::size_t>(4 * (y * kTileTexture + x));
        for (std::size_t c = 0; c < static_cast<std::size_t>(result.channels); ++c) ++result.counts[c][bin(sample_of(*tile, at + c))];
      }
    }
  }
  return result;
}

bool ImageLayer::show_controls() {
  const auto white = static_cast<float>(white_level());
  float low = style.low * white, high = style.high * white;
  bool changed = ImGui::DragFloatRange2("Range", &low, &high, white / 400, 0, info_.bits == 8 ? 255.0f : 65535.0f, "%.0f", "%.0f");
  ImGui::SetItemTooltip("Samples shown as black and as white; the panel Histogram (I) sets them too");
  if (changed) style.low = low / white, style.high = high / white;
  changed |= ImGui::SliderFloat("Gamma", &appearance.gamma, 0.2f, 5.0f, "%.2f", ImGuiSliderFlags_Logarithmic);
  if (info_.bands >= 3) {
    changed |= ImGui::Checkbox("Red", &appearance.red);
    ImGui::SameLine();
    changed |= ImGui::Checkbox("Green", &appearance.green);
    ImGui::SameLine();
    changed |= ImGui::Checkbox("Blue", &appearance.blue);
  }
  changed |= ImGui::Checkbox("False colour", &appearance.false_colour);
  ImGui::SetItemTooltip("Show the mean of the channels in other colours");
  bool smooth = appearance.magnification == Magnification::kSmooth;
  ImGui::SameLine();
  if (ImGui::Checkbox("Smooth", &smooth)) {
    appearance.magnification = smooth ? Magnification::kSmooth : Magnification::kNearest;
    changed = true;
  }
  ImGui::SetItemTooltip("Interpolate between pixels beyond 1:1");
  if (appearance.false_colour) changed |= colour_combo("Colours", style.colours);
  return changed;
}

}  // namespace fovea
