#include "app/viewer/canvas/image_tile_source.h"

namespace fovea {

LoadedTile ImageTileSource::read(const TileKey& key) {
  const PyramidShape size = shape();
  const TileWindow place(key, size);
  const ImageU8 rgb = pyramid_.read_rgb(place.window, key.level);
  const std::int64_t level_width = size.level_width(key.level), level_height = size.level_height(key.level);
  LoadedTile tile{key, TileFormat::kColour8, std::vector<std::uint8_t>(static_cast<std::size_t>(tile_bytes(TileFormat::kColour8)))};
  std::uint8_t* target = tile.bytes.data();
  for (std::int64_t y = 0; y < kTileTexture; ++y) {
    // Beyond the image its edge is repeated under coverage 0, so that filtering at the border mixes in no black.
    const std::int64_t level_y = place.own.y - kTileBorder + y;
    const std::uint8_t* source = rgb.row(std::clamp<std::int64_t>(level_y - place.window.y, 0, place.window.height - 1));
    for (std::int64_t x = 0; x < kTileTexture; ++x, target += 4) {
      const std::int64_t level_x = place.own.x - kTileBorder + x;
      const std::uint8_t* pixel = source + 3 * std::clamp<std::int64_t>(level_x - place.window.x, 0, place.window.width - 1);
      target[0] = pixel[0], target[1] = pixel[1], target[2] = pixel[2];
      target[3] = level_x >= 0 && level_y >= 0 && level_x < level_width && level_y < level_height ? 255 : 0;
    }
  }
  return tile;
}

}  // namespace fovea
