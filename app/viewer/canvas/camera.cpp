#include "app/viewer/canvas/camera.h"

#include <algorithm>
#include <cmath>

namespace fovea {
namespace {

// Time in which a movement covers 63% of what is left: short enough to feel immediate, long enough to follow with the eye.
constexpr double kSmoothing_s = 0.06;

}  // namespace

void Camera::set_image(Extent image_pixels) {
  image_ = {std::max(1.0, image_pixels.width), std::max(1.0, image_pixels.height)};
  fit();
  jump_to_target();
}

void Camera::set_canvas(Extent canvas_pixels) {
  canvas_ = {std::max(1.0, canvas_pixels.width), std::max(1.0, canvas_pixels.height)};
  anchored_ = false;
  if (fitted_) {
    fit();
    jump_to_target();
  }
  clamp(target_);
  clamp(current_);
}

Point Camera::to_canvas(Point p) const {
  return {(p.x - current_.centre.x) * current_.zoom + canvas_.width / 2, (p.y - current_.centre.y) * current_.zoom + canvas_.height / 2};
}

Point Camera::to_image(Point p) const {
  return {(p.x - canvas_.width / 2) / current_.zoom + current_.centre.x, (p.y - canvas_.height / 2) / current_.zoom + current_.centre.y};
}

Rect Camera::visible_pixels() const {
  const Point low = to_image({0, 0}), high = to_image({canvas_.width, canvas_.height});
  const auto x = static_cast<std::int64_t>(std::floor(low.x)), y = static_cast<std::int64_t>(std::floor(low.y));
  return {x, y, static_cast<std::int64_t>(std::ceil(high.x)) - x, static_cast<std::int64_t>(std::ceil(high.y)) - y};
}

void Camera::zoom_at(Point canvas_point, double factor) {
  anchor_image_ = to_image(canvas_point);
  anchor_canvas_ = canvas_point;
  anchored_ = true;
  fitted_ = false;
  target_.zoom = std::clamp(target_.zoom * factor, min_zoom(), kMaxZoom);
  target_.centre = {anchor_image_.x - (canvas_point.x - canvas_.width / 2) / target_.zoom,
                    anchor_image_.y - (canvas_point.y - canvas_.height / 2) / target_.zoom};
  clamp(target_);
}

void Camera::drag(Point delta) {
  target_ = current_;
  pan(delta);
  jump_to_target();
}

void Camera::pan(Point delta) {
  anchored_ = false;
  fitted_ = false;
  target_.centre.x -= delta.x / target_.zoom;
  target_.centre.y -= delta.y / target_.zoom;
  clamp(target_);
}

void Camera::fit() {
  look_at({image_.width / 2, image_.height / 2}, fit_zoom());
  fitted_ = true;
}

void Camera::one_to_one(Point canvas_point) {
  zoom_at(canvas_point, 1 / target_.zoom);
  target_.zoom = 1;   // not nearly
}

void Camera::look_at(Point image_centre, double zoom) {
  anchored_ = false;
  fitted_ = false;
  target_ = {image_centre, std::clamp(zoom, min_zoom(), kMaxZoom)};
  clamp(target_);
}

void Camera::look_at_rect(double x, double y, Extent size) {
  constexpr double kAround = 0.95;
  const double width = std::max(1.0, size.width), height = std::max(1.0, size.height);
  look_at({x + width / 2, y + height / 2}, kAround * std::min(canvas_.width / width, canvas_.height / height));
}

void Camera::jump_to_target() {
  current_ = target_;
  anchored_ = false;
}

bool Camera::advance(double elapsed_s) {
  const double share = 1 - std::exp(-std::max(0.0, elapsed_s) / kSmoothing_s);
  // Zoom moves geometrically: each frame multiplies by the same factor, so that it looks even at every scale.
  current_.zoom *= std::pow(target_.zoom / current_.zoom, share);
  current_.centre.x += (target_.centre.x - current_.centre.x) * share;
  current_.centre.y += (target_.centre.y - current_.centre.y) * share;
  if (anchored_) anchor_current();

  const double left_px = std::hypot(target_.centre.x - current_.centre.x, target_.centre.y - current_.centre.y) * target_.zoom;
  if (std::abs(std::log(target_.zoom / current_.zoom)) < 1e-3 && left_px < 0.25) {
    jump_to_target();
    return false;
  }
  return true;
}

double Camera::fit_zoom() const { return std::min({canvas_.width / image_.width, canvas_.height / image_.height, kMaxZoom}); }

double Camera::min_zoom() const { return std::min(1.0, fit_zoom()) / 2; }

// The centre of the view stays on the image, so that it can never be lost.
void Camera::clamp(View& view) const {
  view.zoom = std::clamp(view.zoom, min_zoom(), kMaxZoom);
  view.centre.x = std::clamp(view.centre.x, 0.0, image_.width);
  view.centre.y = std::clamp(view.centre.y, 0.0, image_.height);
}

void Camera::anchor_current() {
  current_.centre = {anchor_image_.x - (anchor_canvas_.x - canvas_.width / 2) / current_.zoom,
                     anchor_image_.y - (anchor_canvas_.y - canvas_.height / 2) / current_.zoom};
  clamp(current_);
}

}  // namespace fovea
