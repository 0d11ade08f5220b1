// Decoded tiles in main memory, within a budget: what the GPU had to give up comes back without reading the file again. Main thread only.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>

#include "app/viewer/canvas/tile.h"

namespace fovea {

class TileCache {
 public:
  explicit TileCache(std::int64_t budget_bytes) : budget_bytes_(budget_bytes) {}

  // owner: as in TilePool.
  void put(std::uint32_t owner, LoadedTile tile);
  // The tile, marked as used now; nullptr: not here. Valid until the next put().
  const LoadedTile* find(std::uint32_t owner, const TileKey& key);
  void forget(std::uint32_t owner);

  std::int64_t bytes() const { return bytes_; }
  std::int64_t budget_bytes() const { return budget_bytes_; }
  // reserved: held elsewhere on the same account (whole decoded images, queues).
  void set_budget_bytes(std::int64_t bytes);
  void set_reserved_bytes(std::int64_t bytes);
  std::int64_t reserved_bytes() const { return reserved_bytes_; }

 private:
  struct Entry {
    std::uint32_t owner;
    LoadedTile tile;
  };
  static std::uint64_t hash(std::uint32_t owner, const TileKey& key) {
    return TileKeyHash{}(key) ^ (std::uint64_t{owner} * 0x9E3779B97F4A7C15ull);
  }
  void shrink();

  std::int64_t budget_bytes_, bytes_ = 0, reserved_bytes_ = 0;
  std::list<Entry> entries_;             // front: used last
  std::unordered_multimap<std::uint64_t, std::list<Entry>::iterator> places_;
  std::unordered_multimap<std::uint64_t, std::list<Entry>::iterator>::iterator locate(std::uint32_t owner, const TileKey& key);
};

}  // namespace fovea
