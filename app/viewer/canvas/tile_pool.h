// The tiles of all layers on the GPU, within one budget.
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

// One for all layers, each with a number of its own (new_owner()). Least recently used tiles make room for new ones; pinned tiles (the
// coarsest level) stay. Main thread only.
class TilePool {
 public:
  // A texture array of 4 MB at 8 bits: a driver gives it memory when its first tile comes, 7 ms for 16 MB (NVIDIA 580, H200).
  static constexpr int kLayersAPage = 16;

  static constexpr double kUploadMsAFrame = 4;

  explicit TilePool(std::int64_t budget_bytes) : budget_bytes_(budget_bytes) {}

  using Owner = std::uint32_t;
  Owner new_owner() { return ++last_owner_; }
  // The tile, marked as used now; nothing if it is not here.
  std::optional<TileSlot> find(Owner owner, const TileKey& key);
  enum class Keep { kWhileUsed, kAlways };
  void upload(Owner owner, const LoadedTile& tile, double now_s, Keep keep);
  // Uploads share one budget of time a frame, whichever layers and views ask for them.
  void begin_frame() { upload_ms_left_ = kUploadMsAFrame; }
  bool has_time() const { return upload_ms_left_ > 0; }
  void forget(Owner owner);
  // The context is gone, and the tiles with it.
  void forget_all();

  std::int64_t bytes() const { return bytes_; }
  std::int64_t budget_bytes() const { return budget_bytes_; }
  // Takes effect at once: pages beyond the budget are freed with their tiles.
  void set_budget_bytes(std::int64_t bytes);
  std::size_t tiles() const { return entries_.size(); }

 private:
  struct OwnedKey {
    Owner owner;
    TileKey key;
    bool operator==(const OwnedKey&) const = default;
  };
  struct OwnedKeyHash {
    std::size_t operator()(const OwnedKey& k) const noexcept {
      return TileKeyHash{}(k.key) ^ (std::size_t{k.owner} * 0x9E3779B97F4A7C15ull);
    }
  };
  struct Page {
    TileFormat format;
    gl::Texture texture;
    std::vector<int> free_layers;
    std::int64_t bytes() const { return kLayersAPage * tile_bytes(format); }
  };
  struct Entry {
    TileSlot slot;
    std::list<Page>::iterator page;
    Keep keep = Keep::kWhileUsed;
    std::list<OwnedKey>::iterator use;     // place in use_order_
  };
  using Entries = std::unordered_map<OwnedKey, Entry, OwnedKeyHash>;
  Page* page_with_room(TileFormat format);
  Page& add_page(TileFormat format);
  void evict(Entries::iterator entry);
  void free_page(std::list<Page>::iterator page);

  void fill(const Page& page, int layer, const LoadedTile& tile);

  std::int64_t budget_bytes_, bytes_ = 0;
  double upload_ms_left_ = kUploadMsAFrame;
  gl::Buffer staging_;
  Owner last_owner_ = 0;
  std::list<Page> pages_;
  Entries entries_;
  std::list<OwnedKey> use_order_;          // front: used last
};

}  // namespace fovea
