// Tiles of an image file, 8 or 16 bits a sample as in the file.
#pragma once

#include <memory>

#include "app/viewer/canvas/tile_source.h"
#include "core/image/pyramid.h"

namespace fovea {

// Tiles of levels that cannot be read quickly come from the pyramid's preview and are provisional.
class ImageTileSource final : public TileSource {
 public:
  // Errors: as open_image().
  explicit ImageTileSource(std::shared_ptr<PyramidImage> image) : pyramid_(std::move(image)) {}
  PyramidShape shape() const override { return {pyramid_.info().width, pyramid_.info().height, pyramid_.levels()}; }
  LoadedTile read(const TileKey& key) override;

 private:
  template <class Sample> LoadedTile read_samples(const TileKey& key);
  Pyramid pyramid_;
};

}  // namespace fovea
