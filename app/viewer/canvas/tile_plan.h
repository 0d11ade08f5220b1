// Which tiles a view needs, and what stands in for those that are not here yet. No OpenGL, no threads.
#pragma once

#include <functional>
#include <vector>

#include "app/viewer/canvas/camera.h"
#include "app/viewer/canvas/tile.h"

namespace fovea {

struct PyramidShape {
  std::int64_t width = 0, height = 0;   // level 0
  int levels = 1;
  std::int64_t level_width(int level) const { return (width + (std::int64_t{1} << level) - 1) >> level; }
  std::int64_t level_height(int level) const { return (height + (std::int64_t{1} << level) - 1) >> level; }
};

// The level whose pixels are at most as large as the screen's: at zoom z, z * 2^level is in (1/2, 1]; level 0 beyond 1:1.
int level_for_zoom(const PyramidShape& shape, double zoom);

// A rectangle to draw: a part of one tile's texture.
struct TileQuad {
  TileKey source;
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;      // image pixels of level 0
  float u0 = 0, v0 = 0, u1 = 0, v1 = 0;       // of the source's texture
  bool fading = false;                        // a fine tile over its stand-in: drawn with growing opacity
};

struct TilePlan {
  std::vector<TileQuad> quads;                // in drawing order
  std::vector<TileKey> wanted;                // not resident, most urgent first
  bool covers = true;                         // every place in sight shows something, if only a stand-in
};

struct TileState {
  bool resident = false;
  bool opaque = false;                        // faded in
};

// What of a pyramid is in sight: its own level-0 pixels, and canvas pixels a pixel of it.
struct PlacedView {
  Point low, high;                            // upper left and lower right corner of the canvas
  double zoom = 1;
};
PlacedView view_of(const Camera& camera);     // for a pyramid that is the camera's image

// lookup says what is resident. The coarsest level comes first in `wanted`, then a level in between (a quick stand-in), then the visible
// tiles from the middle of the view outwards.
TilePlan plan_tiles(const PyramidShape& shape, const PlacedView& view, const std::function<TileState(const TileKey&)>& lookup);

}  // namespace fovea
