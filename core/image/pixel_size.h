// Where an image lies on the ground, and how large its pixels are there.
#pragma once

#include <optional>
#include <string>

#include "core/image/image_source.h"

namespace fovea {

// Metres a side of a pixel in the middle of the image (the root of its area), from its coordinate reference system: projected systems by
// their unit, geographic ones by the ellipsoid's radii of curvature there. None without a reference system or geotransform, or where the
// system is neither.
std::optional<double> pixel_size_metres(const ImageInfo& image);

// For people: "WGS 84 / UTM zone 12N (EPSG:32612)".
std::string reference_system_name(const std::string& projection_wkt);

}  // namespace fovea
