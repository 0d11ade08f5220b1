#include "app/viewer/layers/colour_layer.h"

#include <cstdio>

#include "app/viewer/layers/layer_painter.h"

namespace fovea {

void ColourLayer::set_colours(ImageU8 colours, const RectD& rect_level0) {
  require(colours.channels() >= 3 && colours.width() <= 16384 && colours.height() <= 16384,
          "a colour layer has 3 or 4 channels and at most 16384 a side");
  colours_ = std::move(colours);
  rect_ = rect_level0;
  uploaded_ = false;
}

LayerProgress ColourLayer::draw(const LayerFrame& frame) {
  if (colours_.empty()) return LayerProgress::kSettled;
  if (!uploaded_ || !texture_) {
    texture_ = gl::create_texture();
    glBindTexture(GL_TEXTURE_2D, texture_.id());
    const GLenum format = colours_.channels() == 3 ? GL_RGB : GL_RGBA;
    glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, static_cast<GLsizei>(colours_.width()), static_cast<GLsizei>(colours_.height()), 0, format,
                 GL_UNSIGNED_BYTE, colours_.samples().data());
    gl::set_sampling(GL_NEAREST);
    uploaded_ = true;
  }
  frame.painter.draw_colours(texture_.id(), rect_, style, frame.camera);
  return LayerProgress::kSettled;
}

std::string ColourLayer::describe(Point p) const {
  if (colours_.empty() || !rect_.contains(p)) return {};
  const auto x = static_cast<std::int64_t>((p.x - rect_.x) / rect_.width * static_cast<double>(colours_.width()));
  const auto y = static_cast<std::int64_t>((p.y - rect_.y) / rect_.height * static_cast<double>(colours_.height()));
  const std::uint8_t* pixel = colours_.row(y) + x * colours_.channels();
  char text[32];
  std::snprintf(text, sizeof text, "%d %d %d", pixel[0], pixel[1], pixel[2]);
  return text;
}

}  // namespace fovea
