#include "app/viewer/layers/layer_painter.h"

namespace fovea {

LayerPainter::LayerPainter(const std::filesystem::path& shaders)
    : heat_(gl::load_program(shaders, "rect", "heat")), colours_(gl::load_program(shaders, "rect", "colours")),
      empty_(gl::create_vertex_array()), tables_(gl::create_texture()) {
  glBindTexture(GL_TEXTURE_2D, tables_.id());
  glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
  glTexImage2D(GL_TEXTURE_2D, 0, GL_RGB8, 256, kColourTables, 0, GL_RGB, GL_UNSIGNED_BYTE, nullptr);
  for (int i = 0; i < kColourTables; ++i) {
    glTexSubImage2D(GL_TEXTURE_2D, 0, 0, i, 256, 1, GL_RGB, GL_UNSIGNED_BYTE, colour_entries(static_cast<ColourTable>(i)).data());
  }
  gl::set_sampling(GL_NEAREST);
}

void LayerPainter::set_blending(Blend blend) {
  glEnable(GL_BLEND);
  switch (blend) {
    case Blend::kNormal: glBlendFunc(GL_ONE, GL_ONE_MINUS_SRC_ALPHA); break;
    case Blend::kMultiply: glBlendFuncSeparate(GL_DST_COLOR, GL_ZERO, GL_ZERO, GL_ONE); break;
    case Blend::kScreen: glBlendFuncSeparate(GL_ONE, GL_ONE_MINUS_SRC_COLOR, GL_ZERO, GL_ONE); break;
    case Blend::kAdd: glBlendFuncSeparate(GL_ONE, GL_ONE, GL_ZERO, GL_ONE); break;
  }
}

void LayerPainter::draw_rect(const gl::Program& program, const RectD& rect, const LayerStyle& style, const Camera& camera) {
  const Point low = camera.to_canvas({rect.x, rect.y}), high = camera.to_canvas({rect.x + rect.width, rect.y + rect.height});
  const Extent canvas = camera.canvas();
  const auto clip_x = [&](double x) { return static_cast<float>(2 * x / canvas.width - 1); };
  const auto clip_y = [&](double y) { return static_cast<float>(1 - 2 * y / canvas.height); };
  glUniform4f(gl::uniform(program, "rect_clip"), clip_x(low.x), clip_y(low.y), clip_x(high.x), clip_y(high.y));
  glUniform1f(gl::uniform(program, "opacity"), style.opacity);
  glUniform1i(gl::uniform(program, "blend"), blend_code(style.blend));
  set_blending(style.blend);
  glBindVertexArray(empty_.id());
  glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
  glBindVertexArray(0);
  glActiveTexture(GL_TEXTURE0);
}

void LayerPainter::draw_heat(const Heat& heat, const LayerStyle& style, const Camera& camera) {
  glUseProgram(heat_.id());
  glActiveTexture(GL_TEXTURE1);
  glBindTexture(GL_TEXTURE_2D, tables_.id());
  glActiveTexture(GL_TEXTURE0);
  glBindTexture(GL_TEXTURE_2D, heat.values);
  glUniform1i(gl::uniform(heat_, "values"), 0);
  glUniform1i(gl::uniform(heat_, "tables"), 1);
  glUniform1i(gl::uniform(heat_, "table"), static_cast<int>(style.colours));
  glUniform2f(gl::uniform(heat_, "range"), style.low, style.high);
  glUniform1f(gl::uniform(heat_, "threshold"), heat.threshold);
  glUniform1f(gl::uniform(heat_, "alpha_by_value"), heat.alpha_by_value);
  draw_rect(heat_, heat.rect_level0, style, camera);
}

void LayerPainter::draw_colours(GLuint colours, const RectD& rect_level0, const LayerStyle& style, const Camera& camera) {
  glUseProgram(colours_.id());
  glActiveTexture(GL_TEXTURE0);
  glBindTexture(GL_TEXTURE_2D, colours);
  glUniform1i(gl::uniform(colours_, "colours"), 0);
  glUniform1f(gl::uniform(colours_, "premultiplied"), 0);
  draw_rect(colours_, rect_level0, style, camera);
}

void LayerPainter::composite(GLuint canvas, const LayerStyle& style) {
  Camera whole;   // one picture pixel a canvas pixel; OpenGL's first row is the bottom one, so the rectangle stands on its head
  whole.set_canvas({1, 1});
  whole.set_image({1, 1});
  glUseProgram(colours_.id());
  glActiveTexture(GL_TEXTURE0);
  glBindTexture(GL_TEXTURE_2D, canvas);
  glUniform1i(gl::uniform(colours_, "colours"), 0);
  glUniform1f(gl::uniform(colours_, "premultiplied"), 1);
  draw_rect(colours_, {0, 1, 1, -1}, style, whole);
}

}  // namespace fovea
