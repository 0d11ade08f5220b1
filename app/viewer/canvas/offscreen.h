// A picture drawn off screen: what ImGui shows in a panel, and what tests and exports read back.
#pragma once

#include "app/viewer/gl_objects.h"
#include "core/image/image.h"

namespace fovea {

class Offscreen {
 public:
  // Makes it this large (framebuffer pixels, at least 1 x 1), binds it, sets the viewport and clears it.
  void begin(int width, int height, const float (&background)[4]);
  void end();
  GLuint texture() const { return texture_.id(); }
  int width() const { return width_; }
  int height() const { return height_; }
  ImageU8 read() const;                       // [height, width, 3], top row first

 private:
  gl::Texture texture_;
  gl::Framebuffer framebuffer_;
  int width_ = 0, height_ = 0;
};

}  // namespace fovea
