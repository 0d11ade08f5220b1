#include "app/viewer/canvas/tile_textures.h"

#include <algorithm>

namespace fovea {

std::optional<TileSlot> TileTextures::find(const TileKey& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  use_order_.splice(use_order_.begin(), use_order_, found->second.use);
  return found->second.slot;
}

void TileTextures::upload(const TileKey& key, const ImageU8& pixels, double now_s, Keep keep) {
  require(pixels.width() == kTileTexture && pixels.height() == kTileTexture && pixels.channels() == 4, "a tile is 256 x 256 RGBA");
  if (contains(key)) evict(key);
  const auto has_room = [](const Page& page) { return !page.free_layers.empty(); };
  auto page = std::ranges::find_if(pages_, has_room);
  if (page == pages_.end() && static_cast<std::int64_t>(pages_.size()) < max_pages()) {
    add_page();
    page = pages_.end() - 1;
  }
  if (page == pages_.end()) {
    const auto oldest = std::find_if(use_order_.rbegin(), use_order_.rend(), [&](const TileKey& k) { return entries_.at(k).keep == Keep::kWhileUsed; });
    if (oldest == use_order_.rend()) return;   // everything is pinned: the budget wins
    evict(TileKey(*oldest));
    page = std::ranges::find_if(pages_, has_room);
  }
  const int layer = page->free_layers.back();
  page->free_layers.pop_back();
  glBindTexture(GL_TEXTURE_2D_ARRAY, page->texture.id());
  glPixelStorei(GL_UNPACK_ALIGNMENT, 4);
  glTexSubImage3D(GL_TEXTURE_2D_ARRAY, 0, 0, 0, layer, kTileTexture, kTileTexture, 1, GL_RGBA, GL_UNSIGNED_BYTE, pixels.samples().data());
  use_order_.push_front(key);
  entries_[key] = {{page->texture.id(), layer, now_s}, static_cast<int>(page - pages_.begin()), keep, use_order_.begin()};
}

void TileTextures::clear() {
  entries_.clear();
  use_order_.clear();
  pages_.clear();
}

void TileTextures::set_budget_bytes(std::int64_t bytes) {
  budget_bytes_ = bytes;
  while (static_cast<std::int64_t>(pages_.size()) > max_pages()) {
    const int last = static_cast<int>(pages_.size()) - 1;
    std::vector<TileKey> gone;
    for (const auto& [key, entry] : entries_) if (entry.page == last) gone.push_back(key);
    for (const TileKey& key : gone) evict(key);
    pages_.pop_back();
  }
}

void TileTextures::add_page() {
  Page page{gl::create_texture(), {}};
  glBindTexture(GL_TEXTURE_2D_ARRAY, page.texture.id());
  glTexImage3D(GL_TEXTURE_2D_ARRAY, 0, GL_RGBA8, kTileTexture, kTileTexture, kLayersAPage, 0, GL_RGBA, GL_UNSIGNED_BYTE, nullptr);
  glTexParameteri(GL_TEXTURE_2D_ARRAY, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
  glTexParameteri(GL_TEXTURE_2D_ARRAY, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
  glTexParameteri(GL_TEXTURE_2D_ARRAY, GL_TEXTURE_MIN_FILTER, GL_LINEAR);
  glTexParameteri(GL_TEXTURE_2D_ARRAY, GL_TEXTURE_MAG_FILTER, GL_LINEAR);
  for (int layer = kLayersAPage - 1; layer >= 0; --layer) page.free_layers.push_back(layer);
  pages_.push_back(std::move(page));
}

void TileTextures::evict(const TileKey& key) {
  const auto entry = entries_.find(key);
  pages_[static_cast<std::size_t>(entry->second.page)].free_layers.push_back(entry->second.slot.layer);
  use_order_.erase(entry->second.use);
  entries_.erase(entry);
}

std::int64_t TileTextures::max_pages() const { return std::max<std::int64_t>(1, budget_bytes_ / (kLayersAPage * kTileBytes)); }

}  // namespace fovea
