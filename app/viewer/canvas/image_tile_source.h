// Tiles of an image file, 8 bits a sample.
#pragma once

#include "app/viewer/canvas/tile_source.h"
#include "core/image/pyramid.h"

namespace fovea {

class ImageTileSource final : public TileSource {
 public:
  // Errors: as open_image(). cache_file: as for Pyramid.
  ImageTileSource(const std::filesystem::path& image, const std::filesystem::path& cache_file) : pyramid_(image, cache_file) {}
  PyramidShape shape() const override { return {pyramid_.info().width, pyramid_.info().height, pyramid_.levels()}; }
  LoadedTile read(const TileKey& key) override;
  const Pyramid& pyramid() const { return pyramid_; }

 private:
  Pyramid pyramid_;
};

}  // namespace fovea
