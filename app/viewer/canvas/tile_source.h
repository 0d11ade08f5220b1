// Where a tiled layer's pixels come from.
#pragma once

#include <functional>
#include <memory>

#include "app/viewer/canvas/tile.h"
#include "app/viewer/canvas/tile_plan.h"

namespace fovea {

// Not thread-safe: every worker has one of its own.
class TileSource {
 public:
  virtual ~TileSource() = default;
  virtual PyramidShape shape() const = 0;
  // Errors: Error{kInput} "scene.tif: ...".
  virtual LoadedTile read(const TileKey& key) = 0;
};

// Called on worker threads.
using TileSourceFactory = std::function<std::unique_ptr<TileSource>()>;

// What to read for a tile with its border.
struct TileWindow {
  Rect window;                           // what to read: the tile and its border, cut off at the level's edge
  Rect own;                              // the tile without border
  TileWindow(const TileKey& key, const PyramidShape& shape);
};

}  // namespace fovea
