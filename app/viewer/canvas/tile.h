// Tiles: the unit in which pixels travel from files to the screen.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/image/image.h"

namespace fovea {

// A texture's side, and what of it is the tile's own: a border of one pixel from the neighbours lets bilinear filtering run across tile
// edges without a seam.
constexpr std::int64_t kTileBorder = 1;
constexpr std::int64_t kTileTexture = 256;
constexpr std::int64_t kTileSide = kTileTexture - 2 * kTileBorder;

// Level as in Pyramid: 0 is full resolution, each next one half as large.
struct TileKey {
  int level = 0;
  std::int32_t column = 0, row = 0;
  bool operator==(const TileKey&) const = default;
};

struct TileKeyHash {
  std::size_t operator()(const TileKey& key) const noexcept {
    const auto place = (static_cast<std::uint64_t>(static_cast<std::uint32_t>(key.row)) << 32) | static_cast<std::uint32_t>(key.column);
    return std::hash<std::uint64_t>{}(place * 0x9E3779B97F4A7C15ull + static_cast<std::uint64_t>(key.level));
  }
};

// The pixels of a tile without its border, cut off at the level's edge.
inline Rect tile_rect(const TileKey& key, std::int64_t level_width, std::int64_t level_height) {
  const std::int64_t x = key.column * kTileSide, y = key.row * kTileSide;
  return {x, y, std::min(kTileSide, level_width - x), std::min(kTileSide, level_height - y)};
}

// kColour8, kColour16: red, green, blue and 0 beyond the image; kLabel: class index and 0 beyond the map.
enum class TileFormat { kColour8, kColour16, kLabel };
constexpr std::int64_t tile_pixel_bytes(TileFormat format) {
  return format == TileFormat::kColour8 ? 4 : format == TileFormat::kColour16 ? 8 : 2;
}
constexpr std::int64_t tile_bytes(TileFormat format) { return kTileTexture * kTileTexture * tile_pixel_bytes(format); }

enum class TileQuality { kFinal, kProvisional };   // provisional: a stand-in from a preview, to be read again when the source says so

struct LoadedTile {
  TileKey key;
  TileFormat format = TileFormat::kColour8;
  std::vector<std::uint8_t> bytes;       // [kTileTexture, kTileTexture, channels], as the format says
  TileQuality quality = TileQuality::kFinal;
};

}  // namespace fovea
