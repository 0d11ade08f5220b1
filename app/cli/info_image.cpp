#include "app/cli/info_image.h"

#include <cstdio>

#include "app/cli/info_rows.h"
#include "core/image/image_source.h"
#include "core/image/library_versions.h"
#include "core/image/pixel_size.h"

namespace fovea::cli {
namespace {

std::string number_text(const char* format, double number) {
  char text[64];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

std::string size_text(std::int64_t width, std::int64_t height) { return std::to_string(width) + " x " + std::to_string(height); }

}  // namespace

std::vector<LibraryVersion> image_library_versions() { return {{"GDAL", gdal_version()}, {"OpenCV", opencv_version()}}; }

void print_image(const std::string& path) {
  const auto source = open_image(path);
  const ImageInfo& info = source->info();
  const std::string megapixels = number_text(" (%.3g MP)", static_cast<double>(info.width) * static_cast<double>(info.height) / 1e6);
  print_row("image", path);
  print_row("format", info.format);
  print_row("size", size_text(info.width, info.height) + megapixels);
  print_row("bands", std::to_string(info.bands) + " of " + std::to_string(info.bits) + " bits" + (info.has_alpha ? ", alpha" : ""));
  if (info.nodata) print_row("no data", number_text("%.10g", *info.nodata));
  for (std::size_t level = 1; level < info.levels.size(); ++level) {
    print_row("overview", size_text(info.levels[level].width, info.levels[level].height));
  }
  print_row("reading", info.windowed ? "by windows" : "as a whole");
  if (const auto& transform = info.georeference.geotransform) {
    char text[160];
    std::snprintf(text, sizeof text, "%.10g %.10g %.10g %.10g %.10g %.10g", (*transform)[0], (*transform)[1], (*transform)[2],
                  (*transform)[3], (*transform)[4], (*transform)[5]);
    print_row("geotransform", text);
  }
  if (!info.georeference.projection_wkt.empty()) print_row("projection", reference_system_name(info.georeference.projection_wkt));
  if (const auto metres = pixel_size_metres(info)) print_row("pixel size", number_text("%.4g m", *metres));
}

}  // namespace fovea::cli
