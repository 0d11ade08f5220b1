// A layer of any size, drawn as a pyramid of tiles that workers read and the GPU keeps within a budget.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "app/viewer/canvas/offscreen.h"
#include "app/viewer/canvas/tile_cache.h"
#include "app/viewer/canvas/tile_loader.h"
#include "app/viewer/canvas/tile_plan.h"
#include "app/viewer/canvas/tile_pool.h"
#include "app/viewer/gl_objects.h"
#include "app/viewer/layers/layer.h"

namespace fovea {

// What tiled layers share.
struct TileServices {
  TilePool* pool = nullptr;
  TileCache* cache = nullptr;
  std::filesystem::path shaders;
  std::function<void()> wake;                // makes the program draw again; from any thread
  std::function<void(std::shared_ptr<void>)> bury = {};   // destroys it elsewhere: readers end when they have read their tile
  int threads = 2;
};

class TiledLayer : public Layer {
 public:
  ~TiledLayer() override;
  LayerProgress draw(const LayerFrame& frame) override;
  void draw_resident(const LayerFrame& frame) override;
  bool complete() const override { return complete_; }
  // The last draw() left no place in sight empty, if only by coarse tiles.
  bool covers() const { return covers_; }
  bool missing_now() const { return missing_since_s_ >= 0; }
  // Seconds for which some visible tile has been missing; 0 if all are there.
  double missing_s(double now_s) const { return missing_since_s_ < 0 ? 0 : now_s - missing_since_s_; }
  // Tiles that the last draw() showed, of whatever level.
  const std::vector<TileKey>& shown_tiles() const { return shown_; }
  std::size_t waiting_tiles() const { return loader_->waiting(); }
  std::string take_error() { return loader_->take_error(); }
  // Main memory that it holds outside the cache of tiles: read tiles that were not uploaded yet, decoded images.
  virtual std::int64_t held_bytes() const { return loader_->held_bytes(); }

 protected:
  struct Options {
    LayerKind kind;
    std::string id, name;
    TileSourceFactory source;
    PyramidShape shape;
    const char* fragment_shader;             // beside tile.vert
    std::function<int()> version = {};       // grows when provisional tiles are worth reading again; empty: there are none
  };
  TiledLayer(Options options, const TileServices& services);

  // Uniforms and textures from unit 1 on; program() is in use.
  virtual void bind(const LayerFrame& frame) = 0;
  // GL_NEAREST or GL_LINEAR beyond 1:1.
  virtual GLint magnification() const { return GL_NEAREST; }
  const gl::Program& program() const { return program_; }
  const PyramidShape& shape() const { return loader_->shape(); }
  // A tile's pixels out of main memory, nullptr: not there. Does not ask for it.
  const LoadedTile* cached(const TileKey& key) const { return services_.cache->find(owner_, key); }
  // A tile's pixels out of main memory; nullptr: not there. It is then read with the next frames, after what is seen.
  const LoadedTile* probe(const TileKey& key) const;
  const TileServices& services() const { return services_; }
  // Of layers of kLabel tiles: the value of the map's pixel at a place inside bounds(), as soon as its tile is read.
  std::optional<std::uint8_t> stored_value(Point image_point) const;

 private:
  struct Instance {
    float rect_clip[4], rect_texture[4], layer_alpha[2];
  };
  void make_objects();
  PlacedView placed_view(const Camera& camera) const;
  TilePlan plan(const LayerFrame& frame);
  void upload(std::vector<TileKey>& wanted, double now_s);
  void want_again(const TilePlan& plan, std::vector<TileKey>& wanted);
  void place(const LoadedTile& tile, double now_s);
  void draw_quads(const std::vector<TileQuad>& quads, const LayerFrame& frame, float opacity);

  TileServices services_;
  TilePool::Owner owner_;
  std::shared_ptr<TileLoader> loader_;
  std::function<int()> version_;
  int seen_version_ = 0;
  std::unordered_set<TileKey, TileKeyHash> provisional_, stale_;   // stale: provisional, and better by now
  mutable std::optional<TileKey> probe_, probed_;                  // asked for by probe(); read already
  const char* fragment_shader_;
  gl::Program program_;
  gl::VertexArray vertex_array_;
  gl::Buffer instances_;
  Offscreen surface_;                        // where tiles may overlap and the whole must be blended once
  std::vector<TileKey> shown_;
  bool complete_ = false, covers_ = false;
  double missing_since_s_ = -1;              // a tile of the right level has been missing since then; -1: none is
};

}  // namespace fovea
