#include "core/image/pixel_size.h"

#include <ogr_spatialref.h>

#include <cmath>
#include <numbers>

#include "core/image/gdal_support.h"

namespace fovea {
namespace {

// Metres a radian along the meridian and along the parallel of this latitude.
struct MetresARadian {
  double north = 0, east = 0;
};
MetresARadian metres_a_radian(const OGRSpatialReference& system, double latitude) {
  const double axis = system.GetSemiMajor(), inverse_flattening = system.GetInvFlattening();
  const double flattening = inverse_flattening > 0 ? 1 / inverse_flattening : 0, squared_eccentricity = flattening * (2 - flattening);
  const double sine = std::sin(latitude), w = 1 - squared_eccentricity * sine * sine;
  return {.north = axis * (1 - squared_eccentricity) / std::pow(w, 1.5), .east = axis / std::sqrt(w) * std::cos(latitude)};
}

}  // namespace

std::optional<double> pixel_size_metres(const ImageInfo& image) {
  const GeoReference& reference = image.georeference;
  if (!reference.geotransform || reference.projection_wkt.empty()) return std::nullopt;
  gdal::initialise();
  const gdal::ErrorScope errors;
  OGRSpatialReference system;
  if (system.importFromWkt(reference.projection_wkt.c_str()) != OGRERR_NONE) return std::nullopt;
  const auto& t = *reference.geotransform;
  const double area = std::abs(t[1] * t[5] - t[2] * t[4]);   // of a pixel, in units of the system
  if (system.IsProjected()) return std::sqrt(area) * system.GetLinearUnits();
  if (!system.IsGeographic()) return std::nullopt;
  const double radians = system.GetAngularUnits();
  const double latitude = (t[3] + t[4] * static_cast<double>(image.width) / 2 + t[5] * static_cast<double>(image.height) / 2) * radians;
  if (std::abs(latitude) >= std::numbers::pi / 2) return std::nullopt;
  const MetresARadian metres = metres_a_radian(system, latitude);
  return std::sqrt(area * metres.north * metres.east) * radians;
}

std::string reference_system_name(const std::string& projection_wkt) {
  gdal::initialise();
  const gdal::ErrorScope errors;
  OGRSpatialReference system;
  if (system.importFromWkt(projection_wkt.c_str()) != OGRERR_NONE) return "unknown";
  const char* name = system.GetName();
  const char* authority = system.GetAuthorityName(nullptr);
  const char* code = system.GetAuthorityCode(nullptr);
  std::string text = name == nullptr ? "unnamed" : name;
  return authority != nullptr && code != nullptr ? text + " (" + authority + ":" + code + ")" : text;
}

}  // namespace fovea
