#include "app/viewer/canvas/offscreen.h"

#include <algorithm>

namespace fovea {

void Offscreen::begin(int width, int height, const float (&background)[4]) {
  width = std::max(1, width), height = std::max(1, height);
  if (!texture_ || width != width_ || height != height_) {
    width_ = width, height_ = height;
    texture_ = gl::create_texture();
    glBindTexture(GL_TEXTURE_2D, texture_.id());
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, width, height, 0, GL_RGBA, GL_UNSIGNED_BYTE, nullptr);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_LINEAR);
    framebuffer_ = gl::create_framebuffer();
    glBindFramebuffer(GL_FRAMEBUFFER, framebuffer_.id());
    glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture_.id(), 0);
    require(glCheckFramebufferStatus(GL_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE || gl::context_lost(),
            "the canvas's framebuffer is not complete");
  }
  glBindFramebuffer(GL_FRAMEBUFFER, framebuffer_.id());
  glViewport(0, 0, width_, height_);
  glDisable(GL_SCISSOR_TEST);
  glClearColor(background[0], background[1], background[2], background[3]);
  glClear(GL_COLOR_BUFFER_BIT);
}

void Offscreen::end() { glBindFramebuffer(GL_FRAMEBUFFER, 0); }

ImageU8 Offscreen::read() const {
  glBindFramebuffer(GL_FRAMEBUFFER, framebuffer_.id());
  ImageU8 image = gl::read_pixels(width_, height_);
  glBindFramebuffer(GL_FRAMEBUFFER, 0);
  return image;
}

}  // namespace fovea
