#include "app/viewer/canvas/image_layer.h"

#include <algorithm>
#include <cstddef>
#include <map>

namespace fovea {
namespace {

constexpr double kFade_s = 0.12;

float opacity_at(const TileSlot& slot, double now_s) { return static_cast<float>(std::clamp((now_s - slot.uploaded_at_s) / kFade_s, 0.0, 1.0)); }

}  // namespace

ImageLayer::ImageLayer(TileLoaderOptions options, const std::filesystem::path& shaders, std::int64_t budget_bytes)
    : loader_(std::move(options)), textures_(budget_bytes), program_(gl::load_program(shaders, "tile", "tile")),
      vertex_array_(gl::create_vertex_array()), instances_(gl::create_buffer()) {
  glBindVertexArray(vertex_array_.id());
  glBindBuffer(GL_ARRAY_BUFFER, instances_.id());
  const auto attribute = [](GLuint index, GLint size, std::size_t offset) {
    glEnableVertexAttribArray(index);
    glVertexAttribPointer(index, size, GL_FLOAT, GL_FALSE, sizeof(Instance), reinterpret_cast<const void*>(offset));
    glVertexAttribDivisor(index, 1);
  };
  attribute(0, 4, offsetof(Instance, rect_clip));
  attribute(1, 4, offsetof(Instance, rect_texture));
  attribute(2, 2, offsetof(Instance, layer_alpha));
  glBindVertexArray(0);
}

bool ImageLayer::draw(const Camera& camera, const ImageAppearance& appearance, const FrameTime& frame) {
  upload(frame);
  const auto lookup = [&](const TileKey& key) {
    const auto slot = textures_.find(key);
    return TileState{.resident = slot.has_value(), .opaque = slot && opacity_at(*slot, frame.now_s) == 1};
  };
  const TilePlan plan = plan_tiles(shape(), camera, lookup);
  loader_.request(plan.wanted);
  draw_quads(plan.quads, camera, appearance, frame.now_s);
  const bool fading = std::ranges::any_of(plan.quads, &TileQuad::fading);
  complete_ = plan.wanted.empty() && !fading;
  return fading;
}

void ImageLayer::upload(const FrameTime& frame) {
  for (const LoadedTile& tile : loader_.take(frame.max_uploads)) {
    const bool coarsest = tile.key.level == loader_.levels() - 1;
    textures_.upload(tile.key, tile.pixels, frame.now_s, coarsest ? TileTextures::Keep::kAlways : TileTextures::Keep::kWhileUsed);
  }
}

void ImageLayer::draw_quads(const std::vector<TileQuad>& quads, const Camera& camera, const ImageAppearance& appearance, double now_s) {
  const Extent canvas = camera.canvas();
  glUseProgram(program_.id());
  glUniform2f(gl::uniform(program_, "contrast"), appearance.black, appearance.white);
  glUniform1f(gl::uniform(program_, "inverse_gamma"), 1 / appearance.gamma);
  glUniform3f(gl::uniform(program_, "channel_mask"), appearance.red, appearance.green, appearance.blue);
  glUniform1i(gl::uniform(program_, "tiles"), 0);
  glEnable(GL_BLEND);
  glBlendFuncSeparate(GL_SRC_ALPHA, GL_ONE_MINUS_SRC_ALPHA, GL_ONE, GL_ONE_MINUS_SRC_ALPHA);
  glBindVertexArray(vertex_array_.id());
  glBindBuffer(GL_ARRAY_BUFFER, instances_.id());
  glActiveTexture(GL_TEXTURE0);

  // Image y grows downwards, clip y upwards.
  const auto clip_x = [&](double x) { return static_cast<float>(2 * camera.to_canvas({x, 0}).x / canvas.width - 1); };
  const auto clip_y = [&](double y) { return static_cast<float>(1 - 2 * camera.to_canvas({0, y}).y / canvas.height); };
  // Opaque ones first; within each kind one draw call a texture array.
  const GLint filter = appearance.magnification == Magnification::kNearest && camera.zoom() > 1 ? GL_NEAREST : GL_LINEAR;
  for (const bool fading : {false, true}) {
    std::map<GLuint, std::vector<Instance>> by_texture;
    for (const TileQuad& quad : quads) {
      const auto slot = quad.fading == fading ? textures_.find(quad.source) : std::nullopt;
      if (!slot) continue;
      by_texture[slot->texture].push_back({{clip_x(quad.x0), clip_y(quad.y0), clip_x(quad.x1), clip_y(quad.y1)},
                                           {quad.u0, quad.v0, quad.u1, quad.v1},
                                           {static_cast<float>(slot->layer), fading ? opacity_at(*slot, now_s) : 1.0f}});
    }
    for (const auto& [texture, instances] : by_texture) {
      glBindTexture(GL_TEXTURE_2D_ARRAY, texture);
      glTexParameteri(GL_TEXTURE_2D_ARRAY, GL_TEXTURE_MAG_FILTER, filter);
      glBufferData(GL_ARRAY_BUFFER, static_cast<GLsizeiptr>(instances.size() * sizeof(Instance)), instances.data(), GL_STREAM_DRAW);
      glDrawArraysInstanced(GL_TRIANGLE_STRIP, 0, 4, static_cast<GLsizei>(instances.size()));
    }
  }
  glBindVertexArray(0);
}

}  // namespace fovea
