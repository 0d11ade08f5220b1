#include "app/viewer/canvas/tile_source.h"

#include <algorithm>

namespace fovea {

TileWindow::TileWindow(const TileKey& key, const PyramidShape& shape) {
  const std::int64_t width = shape.level_width(key.level), height = shape.level_height(key.level);
  own = tile_rect(key, width, height);
  window.x = std::max<std::int64_t>(own.x - kTileBorder, 0);
  window.y = std::max<std::int64_t>(own.y - kTileBorder, 0);
  window.width = std::min(own.x + own.width + kTileBorder, width) - window.x;
  window.height = std::min(own.y + own.height + kTileBorder, height) - window.y;
}

}  // namespace fovea
