#include "app/viewer/canvas/tile_pool.h"

#include <algorithm>
#include <chrono>

namespace fovea {
namespace {

constexpr double kLeastMsATile = 0.1;   // on the account of a frame: what this thread does not see, the GPU's copying

struct GlFormat {
  GLint internal;
  GLenum format, type;
};

GlFormat gl_format(TileFormat format) {
  switch (format) {
    case TileFormat::kColour8: return {GL_RGBA8, GL_RGBA, GL_UNSIGNED_BYTE};
    case TileFormat::kColour16: return {GL_RGBA16, GL_RGBA, GL_UNSIGNED_SHORT};
    case TileFormat::kLabel: return {GL_RG8, GL_RG, GL_UNSIGNED_BYTE};
  }
  return {};
}

}  // namespace

std::optional<TileSlot> TilePool::find(Owner owner, const TileKey& key) {
  const auto found = entries_.find({owner, key});
  if (found == entries_.end()) return std::nullopt;
  use_order_.splice(use_order_.begin(), use_order_, found->second.use);
  return found->second.slot;
}

void TilePool::upload(Owner owner, const LoadedTile& tile, double now_s, Keep keep) {
  require(static_cast<std::int64_t>(tile.bytes.size()) == tile_bytes(tile.format), "a tile has 256 x 256 pixels");
  const OwnedKey key{owner, tile.key};
  if (const auto known = entries_.find(key); known != entries_.end()) {
    now_s = known->second.slot.uploaded_at_s;   // better pixels of a tile that is seen already: no fading in
    evict(known);
  }
  Page* page = page_with_room(tile.format);
  if (!page) return;   // everything is pinned: the budget wins
  const int layer = page->free_layers.back();
  page->free_layers.pop_back();
  fill(*page, layer, tile);
  use_order_.push_front(key);
  const auto place = std::ranges::find_if(pages_, [&](const Page& p) { return &p == page; });
  entries_[key] = {{page->texture.id(), layer, now_s}, place, keep, use_order_.begin()};
}

// Through a buffer, whose memory the driver copies when the GPU has time: from memory of ours some take half a millisecond a tile, in which
// this thread waits.
void TilePool::fill(const Page& page, int layer, const LoadedTile& tile) {
  const auto start = std::chrono::steady_clock::now();
  if (!staging_) staging_ = gl::create_buffer();
  glBindBuffer(GL_PIXEL_UNPACK_BUFFER, staging_.id());
  glBufferData(GL_PIXEL_UNPACK_BUFFER, static_cast<GLsizeiptr>(tile.bytes.size()), tile.bytes.data(),
               GL_STREAM_DRAW);   // new memory each time
  glBindTexture(GL_TEXTURE_2D_ARRAY, page.texture.id());
  glPixelStorei(GL_UNPACK_ALIGNMENT, 4);
  const GlFormat format = gl_format(tile.format);
  glTexSubImage3D(GL_TEXTURE_2D_ARRAY, 0, 0, 0, layer, kTileTexture, kTileTexture, 1, format.format, format.type, nullptr);
  glBindBuffer(GL_PIXEL_UNPACK_BUFFER, 0);
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  upload_ms_left_ -= std::max(taken.count(), kLeastMsATile);
}

TilePool::Page* TilePool::page_with_room(TileFormat format) {
  const auto has_room = [&](const Page& page) { return page.format == format && !page.free_layers.empty(); };
  if (const auto page = std::ranges::find_if(pages_, has_room); page != pages_.end()) return &*page;
  const std::int64_t page_bytes = kLayersAPage * tile_bytes(format);
  if (bytes_ + page_bytes <= budget_bytes_) return &add_page(format);
  const auto evictable = [&](const OwnedKey& k) { return entries_.at(k).keep == Keep::kWhileUsed; };
  // The least recently used tile of any format decides: one of the same format gives its place, one of another its whole page.
  const auto oldest = std::find_if(use_order_.rbegin(), use_order_.rend(), evictable);
  if (oldest == use_order_.rend()) return nullptr;
  const auto entry = entries_.find(*oldest);
  if (entry->second.page->format == format) {
    Page* page = &*entry->second.page;
    evict(entry);
    return page;
  }
  const bool page_has_pinned =
      std::ranges::any_of(entries_, [&](const auto& e) { return e.second.page == entry->second.page && e.second.keep == Keep::kAlways; });
  if (!page_has_pinned) {
    free_page(entry->second.page);
    if (bytes_ + page_bytes <= budget_bytes_) return &add_page(format);
  }
  const auto same = std::find_if(use_order_.rbegin(), use_order_.rend(),
                                 [&](const OwnedKey& k) { return evictable(k) && entries_.at(k).page->format == format; });
  if (same == use_order_.rend()) return nullptr;
  const auto victim = entries_.find(*same);
  Page* page = &*victim->second.page;
  evict(victim);
  return page;
}

void TilePool::forget(Owner owner) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);
    if (entry->first.owner == owner) evict(entry);
    entry = next;
  }
  for (auto page = pages_.begin(); page != pages_.end();) {
    const auto next = std::next(page);
    if (page->free_layers.size() == kLayersAPage) free_page(page);
    page = next;
  }
}

void TilePool::forget_all() {
  entries_.clear();
  use_order_.clear();
  pages_.clear();
  bytes_ = 0;
}

void TilePool::set_budget_bytes(std::int64_t bytes) {
  budget_bytes_ = bytes;
  while (bytes_ > budget_bytes_ && pages_.size() > 1) free_page(std::prev(pages_.end()));
}

TilePool::Page& TilePool::add_page(TileFormat format) {
  Page page{format, gl::create_texture(), {}};
  const GlFormat layout = gl_format(format);
  glBindTexture(GL_TEXTURE_2D_ARRAY, page.texture.id());
  glTexImage3D(GL_TEXTURE_2D_ARRAY, 0, layout.internal, kTileTexture, kTileTexture, kLayersAPage, 0, layout.format, layout.type, nullptr);
  glTexParameteri(GL_TEXTURE_2D_ARRAY, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
  glTexParameteri(GL_TEXTURE_2D_ARRAY, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
  const GLint filter = format == TileFormat::kLabel ? GL_NEAREST : GL_LINEAR;
  glTexParameteri(GL_TEXTURE_2D_ARRAY, GL_TEXTURE_MIN_FILTER, filter);
  glTexParameteri(GL_TEXTURE_2D_ARRAY, GL_TEXTURE_MAG_FILTER, filter);
  for (int layer = kLayersAPage - 1; layer >= 0; --layer) page.free_layers.push_back(layer);
  pages_.push_back(std::move(page));
  bytes_ += pages_.back().bytes();
  return pages_.back();
}

void TilePool::evict(Entries::iterator entry) {
  entry->second.page->free_layers.push_back(entry->second.slot.layer);
  use_order_.erase(entry->second.use);
  entries_.erase(entry);
}

void TilePool::free_page(std::list<Page>::iterator page) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);
    if (entry->second.page == page) evict(entry);
    entry = next;
  }
  bytes_ -= page->bytes();
  pages_.erase(page);
}

}  // namespace fovea
