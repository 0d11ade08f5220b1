#include "app/viewer/canvas/tile_loader.h"

#include <algorithm>
#include <utility>

namespace fovea {

TileLoader::TileLoader(TileLoaderOptions options) : options_(std::move(options)) {
  for (int i = 0; i < options_.threads; ++i) workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
}

TileLoader::~TileLoader() {
  for (auto& worker : workers_) worker.request_stop();
}

void TileLoader::request(std::span<const TileKey> wanted) {
  {
    const std::lock_guard lock(mutex_);
    wanted_.clear();
    for (const TileKey& key : wanted) {
      const bool finished = std::ranges::any_of(finished_, [&](const LoadedTile& tile) { return tile.key == key; });
      if (!finished && !reading_.contains(key) && !failed_.contains(key)) wanted_.push_back(key);
    }
  }
  changed_.notify_all();
}

std::vector<LoadedTile> TileLoader::take(std::size_t max_tiles) {
  const std::lock_guard lock(mutex_);
  std::vector<LoadedTile> taken;
  for (; taken.size() < max_tiles && !finished_.empty(); finished_.pop_front()) taken.push_back(std::move(finished_.front()));
  if (!taken.empty()) changed_.notify_all();   // workers may be waiting for room
  return taken;
}

std::size_t TileLoader::waiting() const {
  const std::lock_guard lock(mutex_);
  return wanted_.size() + reading_.size();
}

std::int64_t TileLoader::held_bytes() const {
  const std::lock_guard lock(mutex_);
  std::int64_t bytes = 0;
  for (const LoadedTile& tile : finished_) bytes += static_cast<std::int64_t>(tile.bytes.size());
  return bytes;
}

std::string TileLoader::take_error() {
  const std::lock_guard lock(mutex_);
  return std::exchange(error_, {});
}

void TileLoader::work(const std::stop_token& stop) {
  std::unique_ptr<TileSource> source;   // one a thread: readers are not shared
  while (true) {
    TileKey key;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return !wanted_.empty() && finished_.size() < kMaxFinished; })) return;
      key = wanted_.front();
      wanted_.pop_front();
      reading_.insert(key);
    }
    LoadedTile tile;
    std::string error;
    try {
      if (!source) source = options_.source();
      tile = source->read(key);
    } catch (const std::exception& reason) {
      error = first_line(reason.what());
    }
    {
      const std::lock_guard lock(mutex_);
      reading_.erase(key);
      if (error.empty()) {
        finished_.push_back(std::move(tile));
      } else {
        failed_.insert(key);
        if (error_.empty()) error_ = error;
      }
    }
    if (options_.on_change) options_.on_change();
  }
}

}  // namespace fovea
