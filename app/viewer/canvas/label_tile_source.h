// Tiles of maps that hold one value a pixel, class indices or probabilities: in memory, or in a file as fovea segment writes them.
#pragma once

#include <filesystem>

#include "app/viewer/canvas/tile_source.h"
#include "app/viewer/layers/layer.h"
#include "core/image/stored_bands.h"

namespace fovea {

// Halves until the longer side is at most two tiles.
PyramidShape map_shape(std::int64_t width, std::int64_t height);

class LabelTileSource final : public TileSource {
 public:
  // classes: [h, w, 1].
  explicit LabelTileSource(std::shared_ptr<const ImageU8> classes) : classes_(std::move(classes)) {}
  PyramidShape shape() const override { return map_shape(classes_->width(), classes_->height()); }
  // Coarser levels take every 2^level-th pixel: an index cannot be averaged.
  LoadedTile read(const TileKey& key) override;

 private:
  std::shared_ptr<const ImageU8> classes_;
};

// Of a TIFF: levels that the file lacks are picked from finer ones.
class BandTileSource final : public TileSource {
 public:
  // Errors: as StoredBands.
  BandTileSource(const std::filesystem::path& path, int band) : file_(path), band_(band) {}
  PyramidShape shape() const override { return map_shape(file_.info().width, file_.info().height); }
  LoadedTile read(const TileKey& key) override;

 private:
  StoredBands file_;
  int band_;
};

// Values of a part of a map, [h, w, 1]; for one thread.
using ReadValues = std::function<ImageU8(const Rect&)>;

// A map and where it lies on the image.
struct ValueMap {
  TileSourceFactory source;
  std::function<ReadValues()> reader;    // for exports
  PyramidShape shape;
  RectD rect_level0;                     // as many level-0 pixels as the map has, or a multiple
};
ValueMap map_in_memory(std::shared_ptr<const ImageU8> values, const RectD& rect_level0);
// PNGs are decoded when the first tile is read, once for all threads. Errors of opening: as StoredBands.
ValueMap map_in_file(const std::filesystem::path& path, int band, const RectD& rect_level0);

}  // namespace fovea
