#include "app/viewer/canvas/image_tile_source.h"

#include <limits>

namespace fovea {

LoadedTile ImageTileSource::read(const TileKey& key) {
  return pyramid_.info().bits == 8 ? read_samples<std::uint8_t>(key) : read_samples<std::uint16_t>(key);
}

template <class Sample>
LoadedTile ImageTileSource::read_samples(const TileKey& key) {
  const PyramidShape size = shape();
  const TileWindow place(key, size);
  const TileFormat format = sizeof(Sample) == 1 ? TileFormat::kColour8 : TileFormat::kColour16;
  LoadedTile tile{key, format, std::vector<std::uint8_t>(static_cast<std::size_t>(tile_bytes(format)))};
  BasicImage<Sample> rgb;
  if (pyramid_.ready(key.level)) {
    rgb = pyramid_.read<Sample>(place.window, key.level);
  } else {
    rgb = pyramid_.read_preview<Sample>(place.window, key.level);
    if (!pyramid_.preview_is_exact(key.level)) tile.quality = TileQuality::kProvisional;
  }
  const std::int64_t level_width = size.level_width(key.level), level_height = size.level_height(key.level);
  auto* target = reinterpret_cast<Sample*>(tile.bytes.data());
  for (std::int64_t y = 0; y < kTileTexture; ++y) {
    // Beyond the image its edge is repeated under coverage 0, so that filtering at the border mixes in no black.
    const std::int64_t level_y = place.own.y - kTileBorder + y;
    const Sample* source = rgb.row(std::clamp<std::int64_t>(level_y - place.window.y, 0, place.window.height - 1));
    for (std::int64_t x = 0; x < kTileTexture; ++x, target += 4) {
      const std::int64_t level_x = place.own.x - kTileBorder + x;
      const Sample* pixel = source + 3 * std::clamp<std::int64_t>(level_x - place.window.x, 0, place.window.width - 1);
      target[0] = pixel[0], target[1] = pixel[1], target[2] = pixel[2];
      const bool inside = level_x >= 0 && level_y >= 0 && level_x < level_width && level_y < level_height;
      target[3] = inside ? std::numeric_limits<Sample>::max() : Sample{0};
    }
  }
  return tile;
}

}  // namespace fovea
