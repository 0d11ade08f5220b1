// Class maps as polygons, for programs that work with vectors (QGIS, QuPath).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/image/image_source.h"
#include "core/image/writers.h"

namespace fovea {

enum class PolygonCoordinates {
  kImage,    // the image's own coordinate reference system; pixels if the image has no geotransform
  kWgs84,    // longitude and latitude (EPSG:4326), as RFC 7946 asks; Error{kInput} if the image has no coordinate reference system
  kPixels,   // x to the right, y down, from the upper left corner of the upper left pixel
};

struct PolygonWriterOptions {
  std::filesystem::path path;              // GeoJSON
  std::int64_t width = 0, height = 0;      // of the image, pixels
  std::vector<Colour> palette = {};
  std::vector<std::string> class_names = {};
  GeoReference georeference = {};
  PolygonCoordinates coordinates = PolygonCoordinates::kImage;
  double simplify_pixels = 1.0;            // borders move by at most this (Douglas and Peucker 1973); 0: along the pixels' edges
  int ignore_index = -1;                   // class that gets no polygons, -1: none
};

// One feature a 4-connected region, holes included, with properties class, name, area_pixels (before simplification), and objectType and
// classification as QuPath reads them. A border between two regions is simplified once, so that neighbours neither overlap nor part;
// regions thinner than the tolerance may vanish. Memory: the regions' borders that are still open, 4 bytes a point where three regions
// meet and some 16 bytes a region; the class map itself waits in a compressed temporary beside `path`.
// append() takes class indices as a mask writer does; finish() traces. Errors: Error{kEnvironment} "PATH: cannot write: ...".
std::unique_ptr<MaskWriter> create_polygon_writer(const PolygonWriterOptions& options);

}  // namespace fovea
