// The scale bar: a round number of pixels or metres, and how long it is.
#pragma once

#include <optional>
#include <string>

#include "app/viewer/canvas/tool.h"
#include "core/image/image_source.h"

namespace fovea {

struct ScaleBar {
  std::string label;                     // "200 px", "50 m", "1.5 km"
  double length_pixels = 0;              // level-0 pixels
};

// Metres a pixel where the georeference says so: a projected system in metres (or feet), no rotation.
std::optional<double> metres_a_pixel(const GeoReference& georeference);

// The longest round length (1, 2, 5 times a power of ten) that is at most max_pixels long.
ScaleBar choose_scale_bar(double max_pixels, std::optional<double> metres_a_pixel);

void draw_scale_bar(const CanvasPainter& painter, const ScaleBar& bar, ImVec2 lower_left);

}  // namespace fovea
