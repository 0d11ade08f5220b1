// Tiles on the GPU, within a budget.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "app/viewer/canvas/tile.h"
#include "app/viewer/gl_objects.h"

namespace fovea {

// Where a tile lies: a layer of a texture array.
struct TileSlot {
  GLuint texture = 0;
  int layer = 0;
  double uploaded_at_s = 0;      // for fading in
};

// Least recently used tiles make room for new ones; pinned tiles (the coarsest level) stay. Main thread only.
class TileTextures {
 public:
  static constexpr std::int64_t kTileBytes = kTileTexture * kTileTexture * 4;
  static constexpr int kLayersAPage = 64;   // a texture array of 16 MB

  explicit TileTextures(std::int64_t budget_bytes) : budget_bytes_(budget_bytes) {}

  // The tile, marked as used now; nothing if it is not here.
  std::optional<TileSlot> find(const TileKey& key);
  bool contains(const TileKey& key) const { return entries_.contains(key); }
  enum class Keep { kWhileUsed, kAlways };
  // pixels: [kTileTexture, kTileTexture, 4].
  void upload(const TileKey& key, const ImageU8& pixels, double now_s, Keep keep);
  void clear();

  std::int64_t bytes() const { return static_cast<std::int64_t>(pages_.size()) * kLayersAPage * kTileBytes; }
  std::int64_t budget_bytes() const { return budget_bytes_; }
  // Takes effect at once: pages beyond the budget are freed with their tiles.
  void set_budget_bytes(std::int64_t bytes);
  std::size_t tiles() const { return entries_.size(); }

 private:
  struct Entry {
    TileSlot slot;
    int page = 0;
    Keep keep = Keep::kWhileUsed;
    std::list<TileKey>::iterator use;      // place in use_order_
  };
  struct Page {
    gl::Texture texture;
    std::vector<int> free_layers;
  };
  void add_page();
  void evict(const TileKey& key);
  std::int64_t max_pages() const;

  std::int64_t budget_bytes_;
  std::vector<Page> pages_;
  std::unordered_map<TileKey, Entry, TileKeyHash> entries_;
  std::list<TileKey> use_order_;           // front: used last
};

}  // namespace fovea
