#include "app/viewer/canvas/label_tile_source.h"

namespace fovea {

PyramidShape LabelTileSource::shape() const {
  PyramidShape shape{classes_->width(), classes_->height(), 1};
  while (std::max(shape.level_width(shape.levels - 1), shape.level_height(shape.levels - 1)) > 2 * kTileSide) ++shape.levels;
  return shape;
}

LoadedTile LabelTileSource::read(const TileKey& key) {
  const PyramidShape size = shape();
  const Rect own = tile_rect(key, size.level_width(key.level), size.level_height(key.level));
  const std::int64_t half = (std::int64_t{1} << key.level) / 2;   // the middle of the pixels that one stands for
  LoadedTile tile{key, TileFormat::kLabel, std::vector<std::uint8_t>(static_cast<std::size_t>(tile_bytes(TileFormat::kLabel)))};
  std::uint8_t* target = tile.bytes.data();
  for (std::int64_t y = 0; y < kTileTexture; ++y) {
    const std::int64_t map_y = ((own.y - kTileBorder + y) << key.level) + half;
    const std::uint8_t* row = classes_->row(std::clamp<std::int64_t>(map_y, 0, size.height - 1));
    for (std::int64_t x = 0; x < kTileTexture; ++x, target += 2) {
      const std::int64_t map_x = ((own.x - kTileBorder + x) << key.level) + half;
      target[0] = row[std::clamp<std::int64_t>(map_x, 0, size.width - 1)];
      target[1] = map_x - half >= 0 && map_y - half >= 0 && map_x - half < size.width && map_y - half < size.height ? 255 : 0;
    }
  }
  return tile;
}

}  // namespace fovea
