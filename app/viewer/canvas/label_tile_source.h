// Tiles of a class map in memory.
#pragma once

#include "app/viewer/canvas/tile_source.h"

namespace fovea {

class LabelTileSource final : public TileSource {
 public:
  // classes: [h, w, 1].
  explicit LabelTileSource(std::shared_ptr<const ImageU8> classes) : classes_(std::move(classes)) {}
  PyramidShape shape() const override;
  // Coarser levels take every 2^level-th pixel: an index cannot be averaged.
  LoadedTile read(const TileKey& key) override;

 private:
  std::shared_ptr<const ImageU8> classes_;
};

}  // namespace fovea
