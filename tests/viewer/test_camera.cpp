#include <gtest/gtest.h>

#include <cmath>

#include "app/viewer/canvas/camera.h"

namespace fovea {
namespace {

Camera camera(Extent image, Extent canvas) {
  Camera result;
  result.set_canvas(canvas);
  result.set_image(image);
  return result;
}

// Canvas pixels: a tenth of one is not visible.
void expect_near(Point actual, Point expected) {
  EXPECT_NEAR(actual.x, expected.x, 0.1);
  EXPECT_NEAR(actual.y, expected.y, 0.1);
}

TEST(Camera, OpensWithTheWholeImageCentred) {
  const Camera view = camera({4000, 1000}, {800, 600});
  EXPECT_DOUBLE_EQ(view.zoom(), 0.2);
  expect_near(view.to_canvas({2000, 500}), {400, 300});
  expect_near(view.to_canvas({0, 0}), {0, 200});
}

TEST(Camera, WholeImageStaysWholeWhenTheCanvasChangesUntilTheViewIsMoved) {
  Camera view = camera({4000, 1000}, {800, 600});
  view.set_canvas({400, 600});
  EXPECT_DOUBLE_EQ(view.zoom(), 0.1);
  view.pan({10, 0});
  view.jump_to_target();
  view.set_canvas({800, 600});
  EXPECT_DOUBLE_EQ(view.zoom(), 0.1);
}

TEST(Camera, ImageAndCanvasAreInverse) {
  Camera view = camera({3001, 2003}, {801, 607});
  view.look_at({17.25, 1999}, 3.7);
  view.jump_to_target();
  const Point p{123.4, 567.8};
  expect_near(view.to_canvas(view.to_image(p)), p);
}

TEST(Camera, ZoomKeepsThePixelUnderTheCursorInEveryFrame) {
  Camera view = camera({10000, 10000}, {1000, 1000});
  const Point cursor{250, 640};
  const Point pixel = view.to_image(cursor);
  view.zoom_at(cursor, 5);
  for (int frame = 0; frame < 200 && view.advance(1.0 / 60); ++frame) expect_near(view.to_canvas(pixel), cursor);
  EXPECT_DOUBLE_EQ(view.zoom(), 0.5);
  expect_near(view.to_canvas(pixel), cursor);
}

TEST(Camera, MovementEndsAtTheTargetAndNewInputReplacesIt) {
  Camera view = camera({10000, 10000}, {1000, 1000});
  view.look_at({100, 100}, 2);
  view.advance(0.01);
  view.look_at({5000, 5000}, 1);
  int frames = 0;
  while (view.advance(1.0 / 60)) ASSERT_LT(++frames, 120) << "a movement must come to rest";
  EXPECT_DOUBLE_EQ(view.zoom(), 1);
  EXPECT_DOUBLE_EQ(view.centre().x, 5000);
}

TEST(Camera, DragFollowsTheHandAtOnce) {
  Camera view = camera({10000, 10000}, {1000, 1000});
  view.look_at({5000, 5000}, 2);
  view.jump_to_target();
  const Point pixel = view.to_image({300, 300});
  view.drag({40, -25});
  expect_near(view.to_canvas(pixel), {340, 275});
  EXPECT_FALSE(view.advance(1.0 / 60));
}

TEST(Camera, ZoomStaysInItsLimitsAndTheImageInSight) {
  Camera view = camera({500, 400}, {1000, 1000});
  view.zoom_at({0, 0}, 1e9);
  view.jump_to_target();
  EXPECT_DOUBLE_EQ(view.zoom(), Camera::kMaxZoom);
  view.zoom_at({999, 999}, 1e-9);
  view.jump_to_target();
  EXPECT_DOUBLE_EQ(view.zoom(), view.min_zoom());
  view.pan({1e9, -1e9});
  view.jump_to_target();
  const Point centre = view.centre();
  EXPECT_GE(centre.x, 0);
  EXPECT_LE(centre.y, 400);
}

TEST(Camera, DegenerateSizesStayFinite) {
  Camera view = camera({1, 1}, {0, 0});
  view.zoom_at({0, 0}, 2);
  view.advance(0.1);
  EXPECT_TRUE(std::isfinite(view.zoom()));
  EXPECT_TRUE(std::isfinite(view.centre().x));
}

}  // namespace
}  // namespace fovea
