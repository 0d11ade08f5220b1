// Numbers as a picture: one band of float32, for programs that go on calculating.
#pragma once

#include <filesystem>
#include <string>

#include "core/image/image.h"
#include "core/image/image_source.h"

namespace fovea {

using ImageF32 = BasicImage<float>;

// A tiled, losslessly compressed GeoTIFF of a single-channel image. description: what the values are, stored as the band's. The same
// arguments give the same bytes. Errors: Error{kEnvironment} "PATH: cannot write: REASON".
void write_float_tiff(const std::filesystem::path& path, const ImageF32& values, const GeoReference& georeference,
                      const std::string& description);

// Where pixels lie that are `scale` times as large as those of an image and begin at its pixel (x, y).
GeoReference scaled_georeference(const GeoReference& georeference, double x, double y, double scale);

}  // namespace fovea
