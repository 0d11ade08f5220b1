#include "core/image/image_source.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "core/image/file_header.h"
#include "core/image/oriented_source.h"
#include "core/image/raster_source.h"

namespace fovea {

std::unique_ptr<ImageSource> open_image(const std::filesystem::path& path, const ImageLimits& limits) {
  const FileHeader header = read_file_header(path);
  return orient(std::make_unique<RasterSource>(path, header, limits), Orientation::from_exif(header.orientation));
}

namespace {

constexpr std::array<std::string_view, 11> kExtensions = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".btf",
                                                          ".jp2", ".j2k", ".j2c",  ".bmp", ".webp"};

}  // namespace

std::vector<std::string> image_extensions() { return {kExtensions.begin(), kExtensions.end()}; }

bool has_image_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::find(kExtensions, extension) != kExtensions.end();
}

}  // namespace fovea
