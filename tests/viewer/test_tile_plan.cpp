#include <gtest/gtest.h>

#include <cmath>
#include <unordered_set>

#include "app/viewer/canvas/tile_plan.h"

namespace fovea {
namespace {

constexpr PyramidShape kGigapixel{32768, 32768, 7};
using Keys = std::unordered_set<TileKey, TileKeyHash>;

Camera look(const PyramidShape& shape, Point centre, double zoom, Extent canvas = {1000, 700}) {
  Camera camera;
  camera.set_canvas(canvas);
  camera.set_image({static_cast<double>(shape.width), static_cast<double>(shape.height)});
  camera.look_at(centre, zoom);
  camera.jump_to_target();
  return camera;
}

TilePlan plan(const PyramidShape& shape, const Camera& camera, const Keys& resident) {
  return plan_tiles(shape, view_of(camera), [&](const TileKey& key) { return TileState{resident.contains(key), resident.contains(key)}; });
}

TEST(TilePlan, LevelKeepsBetweenHalfAndOneScreenPixelAPixel) {
  for (double zoom = 1.0; zoom > 1.0 / 64; zoom /= 1.1) {
    const double shown = zoom * std::exp2(level_for_zoom(kGigapixel, zoom));
    EXPECT_GT(shown, 0.5 - 1e-6) << zoom;
    EXPECT_LE(shown, 1.0 + 1e-6) << zoom;
  }
  EXPECT_EQ(level_for_zoom(kGigapixel, 8), 0);
  EXPECT_EQ(level_for_zoom(kGigapixel, 1e-9), kGigapixel.levels - 1);
}

TEST(TilePlan, WantsTheCoarsestFirstAndNothingTwice) {
  const auto camera = look(kGigapixel, {20000, 12000}, 1);
  const TilePlan result = plan(kGigapixel, camera, {});
  ASSERT_FALSE(result.wanted.empty());
  EXPECT_EQ(result.wanted.front().level, kGigapixel.levels - 1);
  EXPECT_EQ(result.wanted.back().level, 0);
  const Keys unique(result.wanted.begin(), result.wanted.end());
  EXPECT_EQ(unique.size(), result.wanted.size());
  EXPECT_TRUE(result.quads.empty());
  // A view of 1000 x 700 covers at most 5 x 4 tiles of 254 pixels, and a few stand-ins.
  EXPECT_LE(result.wanted.size(), 5u * 4 + 2 * 2 + 4);
}

TEST(TilePlan, ResidentTilesCoverTheVisibleImageWithoutOverlapOrGap) {
  const PyramidShape shape{3001, 2003, 4};
  const auto camera = look(shape, {1500, 1000}, 0.3);
  const TilePlan first = plan(shape, camera, {});
  const Keys resident(first.wanted.begin(), first.wanted.end());
  const TilePlan second = plan(shape, camera, resident);
  EXPECT_TRUE(second.wanted.empty());
  double area = 0;
  for (const TileQuad& quad : second.quads) area += (quad.x1 - quad.x0) * (quad.y1 - quad.y0);
  EXPECT_NEAR(area, 3001.0 * 2003.0, 1e-6);
}

TEST(TilePlan, StandInShowsTheSamePlaceOfTheCoarserTile) {
  const PyramidShape shape{2032, 2032, 4};   // 8 tiles a side at level 0
  const auto camera = look(shape, {1016, 1016}, 1, {100, 100});
  const TileKey coarse{3, 0, 0};
  const TilePlan result = plan(shape, camera, {coarse});
  ASSERT_FALSE(result.quads.empty());
  for (const TileQuad& quad : result.quads) {
    EXPECT_EQ(quad.source, coarse);
    // Level 3 has 254 pixels in all: u runs from 1/256 at x = 0 to 255/256 at x = 2032.
    EXPECT_NEAR(quad.u0, (quad.x0 / 8 + 1) / 256, 1e-6);
    EXPECT_NEAR(quad.v1, (quad.y1 / 8 + 1) / 256, 1e-6);
  }
}

TEST(TilePlan, NothingIsWantedWhereTheImageIsNotInSight) {
  PyramidShape tiny{1, 1, 1};
  const auto camera = look(tiny, {0.5, 0.5}, 1);
  const TilePlan result = plan(tiny, camera, {});
  EXPECT_EQ(result.wanted.size(), 1u);
}

}  // namespace
}  // namespace fovea
