#include "app/viewer/canvas/tile_loader.h"

#include <algorithm>
#include <utility>

namespace fovea {

TileLoader::TileLoader(TileLoaderOptions options) : options_(std::move(options)) {
  {
    const Pyramid pyramid(options_.image, options_.cache_file);
    info_ = pyramid.info();
    for (int level = 0; level < pyramid.levels(); ++level) level_sizes_.push_back(pyramid.level_size(level));
  }
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
  return taken;
}

std::size_t TileLoader::waiting() const {
  const std::lock_guard lock(mutex_);
  return wanted_.size() + reading_.size();
}

std::string TileLoader::take_error() {
  const std::lock_guard lock(mutex_);
  return std::exchange(error_, {});
}

void TileLoader::work(const std::stop_token& stop) {
  std::unique_ptr<Pyramid> pyramid;   // one a thread: readers are not shared
  while (true) {
    TileKey key;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return !wanted_.empty(); })) return;
      key = wanted_.front();
      wanted_.pop_front();
      reading_.insert(key);
    }
    LoadedTile tile;
    std::string error;
    try {
      if (!pyramid) pyramid = std::make_unique<Pyramid>(options_.image, options_.cache_file);
      tile = read(*pyramid, key);
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

LoadedTile TileLoader::read(Pyramid& pyramid, const TileKey& key) {
  const auto size = pyramid.level_size(key.level);
  const Rect own = tile_rect(key, size.width, size.height);
  Rect window{std::max<std::int64_t>(own.x - kTileBorder, 0), std::max<std::int64_t>(own.y - kTileBorder, 0), 0, 0};
  window.width = std::min(own.x + own.width + kTileBorder, size.width) - window.x;
  window.height = std::min(own.y + own.height + kTileBorder, size.height) - window.y;
  const ImageU8 rgb = pyramid.read_rgb(window, key.level);

  LoadedTile tile{key, ImageU8(kTileTexture, kTileTexture, 4)};
  for (std::int64_t y = 0; y < kTileTexture; ++y) {
    // Beyond the image its edge is repeated under alpha 0, so that filtering at the border mixes in no black.
    const std::int64_t level_y = own.y - kTileBorder + y;
    const std::uint8_t* source = rgb.row(std::clamp<std::int64_t>(level_y - window.y, 0, window.height - 1));
    std::uint8_t* target = tile.pixels.row(y);
    for (std::int64_t x = 0; x < kTileTexture; ++x, target += 4) {
      const std::int64_t level_x = own.x - kTileBorder + x;
      const std::uint8_t* pixel = source + 3 * std::clamp<std::int64_t>(level_x - window.x, 0, window.width - 1);
      target[0] = pixel[0], target[1] = pixel[1], target[2] = pixel[2];
      target[3] = level_x >= 0 && level_y >= 0 && level_x < size.width && level_y < size.height ? 255 : 0;
    }
  }
  return tile;
}

}  // namespace fovea
