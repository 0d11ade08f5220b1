#include "app/viewer/canvas/tile_cache.h"

namespace fovea {

auto TileCache::locate(std::uint32_t owner, const TileKey& key)
    -> std::unordered_multimap<std::uint64_t, std::list<Entry>::iterator>::iterator {
  const auto [first, last] = places_.equal_range(hash(owner, key));
  for (auto place = first; place != last; ++place) {
    if (place->second->owner == owner && place->second->tile.key == key) return place;
  }
  return places_.end();
}

void TileCache::put(std::uint32_t owner, LoadedTile tile) {
  if (const auto known = locate(owner, tile.key); known != places_.end()) {
    bytes_ -= static_cast<std::int64_t>(known->second->tile.bytes.size());
    entries_.erase(known->second);
    places_.erase(known);
  }
  const auto key_hash = hash(owner, tile.key);
  bytes_ += static_cast<std::int64_t>(tile.bytes.size());
  entries_.push_front({owner, std::move(tile)});
  places_.emplace(key_hash, entries_.begin());
  shrink();
}

const LoadedTile* TileCache::find(std::uint32_t owner, const TileKey& key) {
  const auto place = locate(owner, key);
  if (place == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, place->second);
  return &place->second->tile;
}

void TileCache::forget(std::uint32_t owner) {
  for (auto place = places_.begin(); place != places_.end();) {
    if (place->second->owner != owner) {
      ++place;
      continue;
    }
    bytes_ -= static_cast<std::int64_t>(place->second->tile.bytes.size());
    entries_.erase(place->second);
    place = places_.erase(place);
  }
}

void TileCache::set_budget_bytes(std::int64_t bytes) {
  budget_bytes_ = bytes;
  shrink();
}

void TileCache::set_reserved_bytes(std::int64_t bytes) {
  reserved_bytes_ = bytes;
  shrink();
}

void TileCache::shrink() {
  while (!entries_.empty() && bytes_ + reserved_bytes_ > budget_bytes_) {
    const Entry& oldest = entries_.back();
    const auto place = locate(oldest.owner, oldest.tile.key);
    bytes_ -= static_cast<std::int64_t>(oldest.tile.bytes.size());
    places_.erase(place);
    entries_.pop_back();
  }
}

}  // namespace fovea
