// Where the canvas looks: image pixels of level 0 to canvas pixels and back.
#pragma once

#include <cstdint>

#include "core/image/image.h"

namespace fovea {

struct Point {
  double x = 0, y = 0;
};

struct Extent {
  double width = 0, height = 0;
};

// A view without rotation. Zoom is canvas pixels an image pixel: 1 shows the image 1:1, 0.5 at half size. Pixel (0, 0) of the image covers
// [0, 1) x [0, 1) in image coordinates. Movements are smooth: setters move a target, and advance() brings the view nearer to it, so that
// any new input simply replaces the target (interruptible). Time is passed in; the camera has no clock.
class Camera {
 public:
  void set_image(Extent image_pixels);
  void set_canvas(Extent canvas_pixels);    // keeps the centre of the view; a view that shows the whole image goes on doing so
  Extent image() const { return image_; }
  Extent canvas() const { return canvas_; }

  double zoom() const { return current_.zoom; }
  Point centre() const { return current_.centre; }           // image coordinates
  double target_zoom() const { return target_.zoom; }

  Point to_canvas(Point image_point) const;
  Point to_image(Point canvas_point) const;
  Rect visible_pixels() const;               // what is in sight, whole pixels; may reach beyond the image

  // Keeps the image point under the cursor where it is, also while the movement is under way.
  void zoom_at(Point canvas_point, double factor);
  // Follows the hand at once: no smoothing.
  void drag(Point canvas_delta);
  void pan(Point canvas_delta);
  void fit();
  void one_to_one(Point canvas_point);
  void look_at(Point image_centre, double zoom);
  void look_at_rect(double x, double y, Extent image_pixels);   // all of it, with a little around it

  // Ends every movement where it was going.
  void jump_to_target();
  // Moves for elapsed_s seconds. Returns whether a movement is still under way.
  bool advance(double elapsed_s);

  double fit_zoom() const;
  double min_zoom() const;
  static constexpr double kMaxZoom = 64;

 private:
  struct View {
    Point centre;
    double zoom = 1;
  };
  void clamp(View& view) const;
  void anchor_current();

  Extent image_{1, 1}, canvas_{1, 1};
  View current_, target_;
  Point anchor_image_, anchor_canvas_;   // while zooming: the image point that stays under the cursor
  bool anchored_ = false;
  bool fitted_ = true;                   // nothing moved the view since fit()
};

}  // namespace fovea
