// Float rasters as other programs read them: through GDAL, apart from the writer's code.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/image/image_source.h"

namespace fovea::test {

struct FloatPlane {
  std::int64_t width = 0, height = 0;
  std::vector<float> values{};               // row by row
  GeoReference georeference{};
  std::string description{};                 // of the band
};

// Throws std::runtime_error for anything but one band of float32.
FloatPlane read_float_plane(const std::filesystem::path& path);

}  // namespace fovea::test
