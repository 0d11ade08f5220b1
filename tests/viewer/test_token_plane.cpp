#include <gtest/gtest.h>

#include <numeric>

#include "app/viewer/explore/token_plane.h"

namespace fovea::explore {
namespace {

ImageF32 plane_of(std::int64_t rows, std::int64_t columns, std::vector<float> values) {
  ImageF32 plane(columns, rows, 1);
  std::copy(values.begin(), values.end(), plane.samples().begin());
  return plane;
}

TEST(TokenPlane, RangesIgnoreTokensThatNothingTouched) {
  std::vector<float> values(1000, 0.0f);
  std::iota(values.begin(), values.begin() + 101, 1.0f);   // 1 ... 101
  const auto all = clipped_range(values, 100);
  EXPECT_EQ(all.low, 1);
  EXPECT_EQ(all.high, 101);
  const auto clipped = clipped_range(values, 90);
  EXPECT_DOUBLE_EQ(clipped.low, 11);
  EXPECT_DOUBLE_EQ(clipped.high, 91);
}

TEST(TokenPlane, MassThresholdHoldsTheSmallestSet) {
  const std::vector<float> values{0.1f, 0.4f, 0.0f, 0.2f, 0.3f};
  EXPECT_EQ(mass_threshold(values, 0.3), 0.4f);
  EXPECT_EQ(mass_threshold(values, 0.4), 0.4f);
  EXPECT_EQ(mass_threshold(values, 0.69), 0.3f);
  EXPECT_EQ(mass_threshold(values, 0.95), 0.1f);
  EXPECT_EQ(mass_threshold(values, 1), 0.0f);
  EXPECT_EQ(tokens_above(values, mass_threshold(values, 0.69)), 2);
  EXPECT_EQ(tokens_above(values, mass_threshold(values, 1)), 4);
  const std::vector<float> zeros(4, 0.0f);
  EXPECT_EQ(mass_threshold(zeros, 0.5), 0.0f);
  EXPECT_EQ(tokens_above(zeros, 0), 0);
}

TEST(TokenPlane, OutlineOfABlockIsItsFourSides) {
  const auto plane = plane_of(4, 5, {0, 0, 0, 0, 0,  0, 1, 1, 0, 0,  0, 1, 1, 0, 0,  0, 0, 0, 0, 0});
  const std::vector<GridLine> expected{{1, 1, 1, 3}, {3, 1, 3, 3}, {1, 1, 3, 1}, {1, 3, 3, 3}};
  EXPECT_EQ(outline(plane, 0.5f), expected);
  EXPECT_TRUE(outline(plane, 2).empty());
}

TEST(TokenPlane, OutlineClosesAtTheEdge) {
  const auto lines = outline(plane_of(2, 2, {1, 1, 1, 1}), 1);
  const std::vector<GridLine> expected{{0, 0, 0, 2}, {2, 0, 2, 2}, {0, 0, 2, 0}, {0, 2, 2, 2}};
  EXPECT_EQ(lines, expected);
}

TEST(TokenPlane, OutlinesOfDiagonalNeighboursAreComplete) {
  // Eight sides of unit squares: their lengths together must be 8.
  std::int64_t length = 0;
  for (const auto& line : outline(plane_of(2, 2, {1, 0, 0, 1}), 1)) length += line.row1 - line.row0 + line.column1 - line.column0;
  EXPECT_EQ(length, 8);
}

TEST(TokenPlane, KeptMassGrowsToOne) {
  const auto row = plane_of(3, 3, {0.05f, 0.05f, 0.05f, 0.1f, 0.4f, 0.05f, 0.05f, 0.05f, 0.1f});
  const TokenBox middle{1, 1, 1, 1}, corner{0, 0, 1, 1};
  EXPECT_NEAR(kept_by_window(row, 0.1, middle, 1), 0.5, 1e-6);
  EXPECT_NEAR(kept_by_window(row, 0.1, middle, 3), 1.0, 1e-6);
  EXPECT_NEAR(kept_by_window(row, 0.1, corner, 3), 0.1 + 0.05 + 0.05 + 0.1 + 0.4, 1e-6);
}

TEST(TokenPlane, WindowsAreCutToTheGrid) {
  ModelConfig model;
  model.encoder.attention = {{.dense = false, .window = {3, 5}, .dilation = {1, 2}}, {.dense = true}};
  const TokenBox grid{0, 0, 20, 30}, token{10, 1, 1, 1};
  EXPECT_EQ(window_of(model, 0, 0, token, grid), (TokenBox{9, 0, 3, 4}));
  EXPECT_EQ(window_of(model, 0, 1, token, grid), (TokenBox{8, 0, 5, 6}));
  EXPECT_EQ(window_of(model, 0, -1, token, grid), (TokenBox{8, 0, 5, 6}));   // all heads: the widest
  EXPECT_EQ(window_of(model, -1, 0, token, grid), grid);
}

}  // namespace
}  // namespace fovea::explore
