#include "app/viewer/canvas/label_tile_source.h"

#include <mutex>

#include "core/image/copy_rows.h"

namespace fovea {
namespace {

constexpr std::uint8_t kInside = 255;

std::vector<std::uint8_t> empty_tile() { return std::vector<std::uint8_t>(static_cast<std::size_t>(tile_bytes(TileFormat::kLabel))); }

// The values of a PNG, which several threads need.
struct DecodedMap {
  std::once_flag once;
  std::shared_ptr<const ImageU8> values;
  std::shared_ptr<const ImageU8> get(const std::filesystem::path& path) {
    std::call_once(once, [&] {
      StoredBands file(path);
      values = std::make_shared<ImageU8>(file.read({0, 0, file.info().width, file.info().height}, 0, 0));
    });
    return values;
  }
};

}  // namespace

PyramidShape map_shape(std::int64_t width, std::int64_t height) {
  PyramidShape shape{width, height, 1};
  while (std::max(shape.level_width(shape.levels - 1), shape.level_height(shape.levels - 1)) > 2 * kTileSide) ++shape.levels;
  return shape;
}

LoadedTile LabelTileSource::read(const TileKey& key) {
  const PyramidShape size = shape();
  const Rect own = tile_rect(key, size.level_width(key.level), size.level_height(key.level));
  const std::int64_t half = (std::int64_t{1} << key.level) / 2;   // the middle of the pixels that one stands for
  LoadedTile tile{key, TileFormat::kLabel, empty_tile()};
  std::uint8_t* target = tile.bytes.data();
  for (std::int64_t y = 0; y < kTileTexture; ++y) {
    const std::int64_t map_y = ((own.y - kTileBorder + y) << key.level) + half;
    const std::uint8_t* row = classes_->row(std::clamp<std::int64_t>(map_y, 0, size.height - 1));
    for (std::int64_t x = 0; x < kTileTexture; ++x, target += 2) {
      const std::int64_t map_x = ((own.x - kTileBorder + x) << key.level) + half;
      target[0] = row[std::clamp<std::int64_t>(map_x, 0, size.width - 1)];
      target[1] = map_x - half >= 0 && map_y - half >= 0 && map_x - half < size.width && map_y - half < size.height ? kInside : 0;
    }
  }
  return tile;
}

LoadedTile BandTileSource::read(const TileKey& key) {
  const PyramidShape size = shape();
  const TileWindow place(key, size);
  const int stored_level = std::min(key.level, static_cast<int>(file_.info().levels.size()) - 1), missing = key.level - stored_level;
  const auto& stored = file_.info().levels[static_cast<std::size_t>(stored_level)];
  const Rect& window = place.window;
  const std::int64_t x = window.x << missing, y = window.y << missing;
  const Rect wanted{x, y, std::min(window.width << missing, stored.width - x), std::min(window.height << missing, stored.height - y)};
  const ImageU8 values =
      missing == 0 ? file_.read(wanted, stored_level, band_) : file_.read_some(wanted, stored_level, band_, {window.width, window.height});
  LoadedTile tile{key, TileFormat::kLabel, empty_tile()};
  std::uint8_t* target = tile.bytes.data();
  const std::int64_t level_width = size.level_width(key.level), level_height = size.level_height(key.level);
  for (std::int64_t row = 0; row < kTileTexture; ++row) {
    const std::int64_t level_y = place.own.y - kTileBorder + row;
    const std::uint8_t* source = values.row(std::clamp<std::int64_t>(level_y - window.y, 0, window.height - 1));
    for (std::int64_t column = 0; column < kTileTexture; ++column, target += 2) {
      const std::int64_t level_x = place.own.x - kTileBorder + column;
      target[0] = source[std::clamp<std::int64_t>(level_x - window.x, 0, window.width - 1)];
      target[1] = level_x >= 0 && level_y >= 0 && level_x < level_width && level_y < level_height ? kInside : 0;
    }
  }
  return tile;
}

ValueMap map_in_memory(std::shared_ptr<const ImageU8> values, const RectD& rect) {
  const PyramidShape shape = map_shape(values->width(), values->height());
  return {[values] { return std::make_unique<LabelTileSource>(values); },
          [values]() -> ReadValues { return [values](const Rect& part) { return part_of(*values, part); }; }, shape, rect};
}

ValueMap map_in_file(const std::filesystem::path& path, int band, const RectD& rect) {
  const BandsInfo info = StoredBands(path).info();
  const PyramidShape shape = map_shape(info.width, info.height);
  if (path.extension() == ".png" || path.extension() == ".PNG") {
    auto decoded = std::make_shared<DecodedMap>();
    return {[decoded, path] { return std::make_unique<LabelTileSource>(decoded->get(path)); },
            [decoded, path]() -> ReadValues { return [decoded, path](const Rect& part) { return part_of(*decoded->get(path), part); }; },
            shape, rect};
  }
  return {[path, band] { return std::make_unique<BandTileSource>(path, band); },
          [path, band]() -> ReadValues {
            return [file = std::make_shared<StoredBands>(path), band](const Rect& part) { return file->read(part, 0, band); };
          },
          shape, rect};
}

}  // namespace fovea
