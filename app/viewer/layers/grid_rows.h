// A coarse grid laid over level-0 pixels: which of its cells a pixel falls into.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "app/viewer/layers/layer.h"

namespace fovea {

// Along one axis.
struct GridAxis {
  double origin = 0, cells_a_pixel = 1;
  std::int64_t cells = 0;
  GridAxis(double start, double extent, std::int64_t count)
      : origin(start), cells_a_pixel(static_cast<double>(count) / extent), cells(count) {}

  // Of the pixel's middle, in cells; the first cell covers 0 ... 1.
  double place(std::int64_t pixel) const { return (static_cast<double>(pixel) + 0.5 - origin) * cells_a_pixel; }
  // -1: beside the grid.
  std::int64_t cell(std::int64_t pixel) const {
    const double at = std::floor(place(pixel));
    return at >= 0 && at < static_cast<double>(cells) ? static_cast<std::int64_t>(at) : -1;
  }
};

struct Grid {
  GridAxis x, y;
  Grid(const RectD& rect, std::int64_t columns, std::int64_t rows) : x(rect.x, rect.width, columns), y(rect.y, rect.height, rows) {}
};

}  // namespace fovea
