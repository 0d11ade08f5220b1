// The shaders and textures that layers share, and the ways to lay colours over what is already drawn. Main thread, one a context.
#pragma once

#include <filesystem>

#include "app/viewer/canvas/camera.h"
#include "app/viewer/gl_objects.h"
#include "app/viewer/layers/layer.h"

namespace fovea {

class LayerPainter {
 public:
  // Error{kEnvironment} from the shaders.
  explicit LayerPainter(const std::filesystem::path& shaders);

  struct Heat {
    GLuint values = 0;                   // R32F
    RectD rect_level0;
    float threshold = 0;
    float alpha_by_value = 0;            // 1: low values are transparent
  };
  void draw_heat(const Heat& heat, const LayerStyle& style, const Camera& camera);

  // [h, w] RGB or RGBA placed by a rectangle (feature PCA, a crop).
  void draw_colours(GLuint colours, const RectD& rect_level0, const LayerStyle& style, const Camera& camera);

  // A whole canvas that was drawn off screen (premultiplied), over the current framebuffer of the same size.
  void composite(GLuint canvas, const LayerStyle& style);

  // Sets OpenGL's blending for a fragment colour that a shader made with the uniform `blend` (blend_code()).
  static void set_blending(Blend blend);
  static int blend_code(Blend blend) { return static_cast<int>(blend); }
  GLuint colour_tables() const { return tables_.id(); }   // RGBA8, a row a ColourTable

 private:
  void draw_rect(const gl::Program& program, const RectD& rect, const LayerStyle& style, const Camera& camera);
  gl::Program heat_, colours_;
  gl::VertexArray empty_;
  gl::Texture tables_;
};

}  // namespace fovea
