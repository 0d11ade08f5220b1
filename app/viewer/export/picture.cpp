#include "app/viewer/export/picture.h"

#include <algorithm>
#include <functional>

#include "core/image/float_writer.h"
#include "core/image/writers.h"

namespace fovea {
namespace {

constexpr std::int64_t kBand_bytes = std::int64_t{32} << 20;   // of rows at a time
constexpr std::int64_t kMostRows = 256;

struct Writer {
  std::function<void(const ImageU8&)> append;
  std::function<void()> finish;
};

template <class Made>
Writer wrap(std::shared_ptr<Made> made) {
  return {[made](const ImageU8& rows) { made->append(rows); }, [made] { made->finish(); }};
}

Writer writer_of(const PictureOptions& options) {
  const std::string extension = options.path.extension().string();
  const Rect& area = options.area;
  if (extension == ".png") return wrap(std::shared_ptr(create_rgb_png_writer(options.path, area.width, area.height)));
  if (extension == ".tif" || extension == ".tiff") {
    const GeoReference moved = options.georeference.geotransform
                                   ? scaled_georeference(options.georeference, static_cast<double>(area.x), static_cast<double>(area.y), 1)
                                   : options.georeference;
    return wrap(std::shared_ptr(create_rgb_tiff_writer({.path = options.path, .width = area.width, .height = area.height,
                                                        .georeference = moved})));
  }
  return wrap(std::shared_ptr(create_overlay_writer({.path = options.path, .width = area.width, .height = area.height})));
}

}  // namespace

std::vector<std::string> picture_extensions() { return {".jpg", ".png", ".tif"}; }

std::vector<std::unique_ptr<LayerRows>> rows_of(const LayerList& layers) {
  std::vector<std::unique_ptr<LayerRows>> made;
  for (const auto& layer : layers.all()) {
    if (!layer->style.visible || layer->style.opacity <= 0) continue;
    if (auto rows = layer->rows()) made.push_back(std::move(rows));
  }
  return made;
}

void write_picture(const PictureOptions& options, const std::vector<std::unique_ptr<LayerRows>>& layers, Progress& progress,
                   const std::stop_token& stop) {
  const Rect& area = options.area;
  const Writer writer = writer_of(options);
  const std::int64_t step = std::clamp<std::int64_t>(kBand_bytes / (3 * area.width), 1, kMostRows);
  for (std::int64_t y = 0; y < area.height; y += step) {
    throw_if_stopped(stop);
    progress.report("rows", y, area.height);
    ImageU8 rgb(area.width, std::min(step, area.height - y), 3);
    for (const auto& layer : layers) layer->paint(area.x, area.y + y, rgb);
    writer.append(rgb);
  }
  progress.report("finishing", area.height, area.height);
  writer.finish();
}

}  // namespace fovea
