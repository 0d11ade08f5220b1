#include "app/viewer/layers/tiled_layer.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "app/viewer/layers/layer_painter.h"

namespace fovea {
namespace {

constexpr double kFade_s = 0.12;

float opacity_at(const TileSlot& slot, double now_s) {
  return static_cast<float>(std::clamp((now_s - slot.uploaded_at_s) / kFade_s, 0.0, 1.0));
}

}  // namespace

TiledLayer::TiledLayer(Options options, const TileServices& services)
    : Layer(options.kind, std::move(options.name)), services_(services), owner_(services.pool->new_owner()),
      loader_(std::make_shared<TileLoader>(
          TileLoaderOptions{.source = std::move(options.source), .shape = options.shape, .threads = services.threads,
                            .on_change = services.wake})),
      version_(std::move(options.version)), fragment_shader_(options.fragment_shader) {
  id = std::move(options.id);
  make_objects();
}

// Once a context.
void TiledLayer::make_objects() {
  program_ = gl::load_program(services_.shaders, "tile", fragment_shader_);
  vertex_array_ = gl::create_vertex_array();
  instances_ = gl::create_buffer();
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

TiledLayer::~TiledLayer() {
  services_.pool->forget(owner_);
  services_.cache->forget(owner_);
  if (services_.bury) services_.bury(std::move(loader_));
}

const LoadedTile* TiledLayer::probe(const TileKey& key) const {
  const LoadedTile* tile = services_.cache->find(owner_, key);
  if (!tile && probed_ != key) probe_ = key;
  return tile;
}

std::optional<std::uint8_t> TiledLayer::stored_value(Point p) const {
  const RectD rect = bounds();
  const auto x = static_cast<std::int64_t>((p.x - rect.x) / rect.width * static_cast<double>(shape().width));
  const auto y = static_cast<std::int64_t>((p.y - rect.y) / rect.height * static_cast<double>(shape().height));
  const LoadedTile* tile = probe({0, static_cast<std::int32_t>(x / kTileSide), static_cast<std::int32_t>(y / kTileSide)});
  if (!tile) return std::nullopt;
  return tile->bytes[static_cast<std::size_t>(2 * ((y % kTileSide + kTileBorder) * kTileTexture + x % kTileSide + kTileBorder))];
}

// What is in sight and provisional, once something better can be read.
void TiledLayer::want_again(const TilePlan& plan, std::vector<TileKey>& wanted) {
  if (version_ && seen_version_ != version_()) {
    seen_version_ = version_();
    stale_ = provisional_;
  }
  if (stale_.empty()) return;
  for (const TileQuad& quad : plan.quads) {
    if (stale_.contains(quad.source) && std::ranges::find(wanted, quad.source) == wanted.end()) wanted.push_back(quad.source);
  }
}

PlacedView TiledLayer::placed_view(const Camera& camera) const {
  const RectD rect = bounds();
  const Point low = camera.to_image({0, 0}), high = camera.to_image({camera.canvas().width, camera.canvas().height});
  const double scale_x = static_cast<double>(shape().width) / rect.width, scale_y = static_cast<double>(shape().height) / rect.height;
  return {.low = {(low.x - rect.x) * scale_x, (low.y - rect.y) * scale_y},
          .high = {(high.x - rect.x) * scale_x, (high.y - rect.y) * scale_y},
          .zoom = camera.zoom() / std::max(scale_x, scale_y)};
}

TilePlan TiledLayer::plan(const LayerFrame& frame) {
  const auto lookup = [&](const TileKey& key) {
    const auto slot = services_.pool->find(owner_, key);
    return TileState{.resident = slot.has_value(), .opaque = slot && opacity_at(*slot, frame.now_s) == 1};
  };
  return plan_tiles(shape(), placed_view(frame.camera), lookup);
}

void TiledLayer::draw_resident(const LayerFrame& frame) {
  if (!program_) make_objects();
  LayerPainter::set_blending(Blend::kNormal);
  draw_quads(plan(frame).quads, frame, 1);
}

LayerProgress TiledLayer::draw(const LayerFrame& frame) {
  if (!program_) make_objects();
  TilePlan plan = this->plan(frame);
  const std::size_t wanted_before = plan.wanted.size();
  upload(plan.wanted, frame.now_s);
  std::vector<TileKey> requested = plan.wanted;
  want_again(plan, requested);
  const bool improving = requested.size() != plan.wanted.size();
  if (probe_) requested.push_back(*probe_);
  loader_->request(requested);
  if (plan.wanted.size() != wanted_before) plan = this->plan(frame);   // what has just come is drawn now
  missing_since_s_ = plan.wanted.empty() ? -1 : missing_since_s_ < 0 ? frame.now_s : missing_since_s_;
  const bool fading = std::ranges::any_of(plan.quads, &TileQuad::fading);
  shown_.clear();
  for (const TileQuad& quad : plan.quads) {
    if (shown_.empty() || shown_.back() != quad.source) shown_.push_back(quad.source);
  }
  covers_ = plan.covers;
  complete_ = plan.wanted.empty() && !fading && !improving;
  if (const bool overlap = fading && (style.opacity != 1 || style.blend != Blend::kNormal); !overlap && style.blend != Blend::kMultiply) {
    LayerPainter::set_blending(style.blend);
    draw_quads(plan.quads, frame, style.opacity);
  } else {
    // A fading tile lies over its stand-in: the two are joined first and blended as one.
    GLint target = 0;
    glGetIntegerv(GL_DRAW_FRAMEBUFFER_BINDING, &target);
    const GLboolean scissor = glIsEnabled(GL_SCISSOR_TEST);
    surface_.begin(static_cast<int>(frame.camera.canvas().width), static_cast<int>(frame.camera.canvas().height), {0, 0, 0, 0});
    LayerPainter::set_blending(Blend::kNormal);
    draw_quads(plan.quads, frame, 1);
    glBindFramebuffer(GL_FRAMEBUFFER, static_cast<GLuint>(target));
    if (scissor) glEnable(GL_SCISSOR_TEST);
    frame.painter.composite(surface_.texture(), style);
  }
  return fading ? LayerProgress::kMoving : LayerProgress::kSettled;
}

// First what the workers have read, one tile at least, then what main memory still holds.
void TiledLayer::upload(std::vector<TileKey>& wanted, double now_s) {
  const auto has_time = [&] { return services_.pool->has_time(); };
  for (auto taken = loader_->take(1); !taken.empty(); taken = has_time() ? loader_->take(1) : std::vector<LoadedTile>()) {
    LoadedTile& tile = taken.front();
    place(tile, now_s);
    std::erase(wanted, tile.key);
    if (probe_ == tile.key) probed_ = std::exchange(probe_, std::nullopt);
    stale_.erase(tile.key);
    if (tile.quality == TileQuality::kProvisional) {
      provisional_.insert(tile.key);
    } else {
      provisional_.erase(tile.key);
      services_.cache->put(owner_, std::move(tile));
    }
  }
  std::erase_if(wanted, [&](const TileKey& key) {
    const LoadedTile* tile = has_time() ? services_.cache->find(owner_, key) : nullptr;
    if (!tile) return false;
    place(*tile, now_s);
    return true;
  });
}

void TiledLayer::place(const LoadedTile& tile, double now_s) {
  const bool coarsest = tile.key.level == shape().levels - 1;
  services_.pool->upload(owner_, tile, now_s, coarsest ? TilePool::Keep::kAlways : TilePool::Keep::kWhileUsed);
}

void TiledLayer::draw_quads(const std::vector<TileQuad>& quads, const LayerFrame& frame, float opacity) {
  const Camera& camera = frame.camera;
  const Extent canvas = camera.canvas();
  const RectD rect = bounds();
  const double scale_x = rect.width / static_cast<double>(shape().width), scale_y = rect.height / static_cast<double>(shape().height);
  glUseProgram(program_.id());
  glUniform1i(gl::uniform(program_, "tiles"), 0);
  bind(frame);
  glActiveTexture(GL_TEXTURE0);
  glBindVertexArray(vertex_array_.id());
  glBindBuffer(GL_ARRAY_BUFFER, instances_.id());

  // Image y grows downwards, clip y upwards.
  const auto clip_x = [&](double x) { return static_cast<float>(2 * camera.to_canvas({rect.x + x * scale_x, 0}).x / canvas.width - 1); };
  const auto clip_y = [&](double y) { return static_cast<float>(1 - 2 * camera.to_canvas({0, rect.y + y * scale_y}).y / canvas.height); };
  // From 1:1 on: there, filtering would blur an image that lies between the screen's pixels. Indices are never filtered.
  const bool exact = kind() == LayerKind::kLabels || camera.zoom() * scale_x >= 1;
  const GLint filter = exact ? magnification() : GL_LINEAR;
  // Opaque ones first; within each kind one draw call a texture array.
  for (const bool fading : {false, true}) {
    std::map<GLuint, std::vector<Instance>> by_texture;
    for (const TileQuad& quad : quads) {
      const auto slot = quad.fading == fading ? services_.pool->find(owner_, quad.source) : std::nullopt;
      if (!slot) continue;
      by_texture[slot->texture].push_back({{clip_x(quad.x0), clip_y(quad.y0), clip_x(quad.x1), clip_y(quad.y1)},
                                           {quad.u0, quad.v0, quad.u1, quad.v1},
                                           {static_cast<float>(slot->layer), opacity * (fading ? opacity_at(*slot, frame.now_s) : 1.0f)}});
    }
    for (const auto& [texture, instances] : by_texture) {
      glBindTexture(GL_TEXTURE_2D_ARRAY, texture);
      // Both, always: at 1:1 rounding decides which of them OpenGL takes, and layers share texture arrays.
      glTexParameteri(GL_TEXTURE_2D_ARRAY, GL_TEXTURE_MIN_FILTER, filter);
      glTexParameteri(GL_TEXTURE_2D_ARRAY, GL_TEXTURE_MAG_FILTER, filter);
      glBufferData(GL_ARRAY_BUFFER, static_cast<GLsizeiptr>(instances.size() * sizeof(Instance)), instances.data(), GL_STREAM_DRAW);
      glDrawArraysInstanced(GL_TRIANGLE_STRIP, 0, 4, static_cast<GLsizei>(instances.size()));
    }
  }
  glBindVertexArray(0);
}

}  // namespace fovea
