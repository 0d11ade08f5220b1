#include "app/viewer/canvas/tile_plan.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

namespace fovea {
namespace {

struct TileRange {
  std::int32_t first_column, last_column, first_row, last_row;   // inclusive; empty if last < first
};

TileRange visible_tiles(const PyramidShape& shape, const PlacedView& view, int level) {
  const Point low = view.low, high = view.high;
  const double tile = static_cast<double>(kTileSide) * std::exp2(level);
  const auto index = [&](double image_coordinate, std::int64_t level_extent) {
    const auto last = static_cast<std::int32_t>((level_extent - 1) / kTileSide);
    return std::clamp(static_cast<std::int32_t>(std::floor(image_coordinate / tile)), 0, last);
  };
  if (high.x <= 0 || high.y <= 0 || low.x >= static_cast<double>(shape.width) || low.y >= static_cast<double>(shape.height)) {
    return {0, -1, 0, -1};
  }
  return {index(low.x, shape.level_width(level)), index(high.x, shape.level_width(level)), index(low.y, shape.level_height(level)),
          index(high.y, shape.level_height(level))};
}

// The part of `tile` (a finer tile, or the source itself) out of the source's texture.
TileQuad quad(const PyramidShape& shape, const TileKey& tile, const TileKey& source) {
  const double scale = std::exp2(tile.level), source_scale = std::exp2(source.level);
  const Rect own = tile_rect(tile, shape.level_width(tile.level), shape.level_height(tile.level));
  TileQuad q{.source = source};
  q.x0 = static_cast<double>(own.x) * scale;
  q.y0 = static_cast<double>(own.y) * scale;
  q.x1 = std::min(static_cast<double>(own.x + own.width) * scale, static_cast<double>(shape.width));
  q.y1 = std::min(static_cast<double>(own.y + own.height) * scale, static_cast<double>(shape.height));
  const auto texture = [&](double image_coordinate, std::int32_t source_index) {
    const double in_tile = image_coordinate / source_scale - static_cast<double>(source_index) * kTileSide;
    return static_cast<float>((in_tile + kTileBorder) / kTileTexture);
  };
  q.u0 = texture(q.x0, source.column), q.u1 = texture(q.x1, source.column);
  q.v0 = texture(q.y0, source.row), q.v1 = texture(q.y1, source.row);
  return q;
}

TileKey ancestor(const TileKey& key, int level) {
  const int shift = level - key.level;
  // Tiles of all levels have the same side, so that an ancestor's index is a shift.
  return {level, key.column >> shift, key.row >> shift};
}

}  // namespace

int level_for_zoom(const PyramidShape& shape, double zoom) {
  if (zoom >= 1) return 0;
  return std::clamp(static_cast<int>(std::floor(-std::log2(zoom) + 1e-9)), 0, shape.levels - 1);
}

PlacedView view_of(const Camera& camera) {
  return {camera.to_image({0, 0}), camera.to_image({camera.canvas().width, camera.canvas().height}), camera.zoom()};
}

TilePlan plan_tiles(const PyramidShape& shape, const PlacedView& view, const std::function<TileState(const TileKey&)>& lookup) {
  const int level = level_for_zoom(shape, view.zoom);
  const TileRange range = visible_tiles(shape, view, level);
  TilePlan plan;
  std::vector<TileQuad> fading;
  std::vector<TileKey> missing;
  for (std::int32_t row = range.first_row; row <= range.last_row; ++row) {
    for (std::int32_t column = range.first_column; column <= range.last_column; ++column) {
      const TileKey tile{level, column, row};
      const TileState state = lookup(tile);
      if (state.opaque) {
        plan.quads.push_back(quad(shape, tile, tile));
        continue;
      }
      bool has_stand_in = false;
      for (int coarser = level + 1; coarser < shape.levels && !has_stand_in; ++coarser) {
        const TileKey stand_in = ancestor(tile, coarser);
        has_stand_in = lookup(stand_in).resident;
        if (has_stand_in) plan.quads.push_back(quad(shape, tile, stand_in));
      }
      if (!has_stand_in && !state.resident) plan.covers = false;
      if (state.resident) {
        fading.push_back(quad(shape, tile, tile));
        fading.back().fading = true;
      } else {
        missing.push_back(tile);
      }
    }
  }
  plan.quads.insert(plan.quads.end(), fading.begin(), fading.end());

  const TileRange coarsest = visible_tiles(shape, view, shape.levels - 1);
  std::unordered_set<TileKey, TileKeyHash> listed;
  const auto want = [&](const TileKey& key) {
    if (!lookup(key).resident && listed.insert(key).second) plan.wanted.push_back(key);
  };
  for (std::int32_t row = coarsest.first_row; row <= coarsest.last_row; ++row) {
    for (std::int32_t column = coarsest.first_column; column <= coarsest.last_column; ++column) want({shape.levels - 1, column, row});
  }
  const Point centre{(view.low.x + view.high.x) / 2, (view.low.y + view.high.y) / 2};
  const double tile_side = static_cast<double>(kTileSide) * std::exp2(level);
  const auto distance = [&](const TileKey& key) {
    return std::hypot((key.column + 0.5) * tile_side - centre.x, (key.row + 0.5) * tile_side - centre.y);
  };
  std::ranges::sort(missing, {}, distance);
  constexpr int kStandInLevels = 2;   // a sixteenth of the tiles: there before the fine ones
  if (level + kStandInLevels < shape.levels - 1) {
    for (const TileKey& tile : missing) want(ancestor(tile, level + kStandInLevels));
  }
  for (const TileKey& tile : missing) want(tile);
  return plan;
}

}  // namespace fovea
