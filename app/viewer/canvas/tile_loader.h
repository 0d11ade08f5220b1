// Reads tiles on worker threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "app/viewer/canvas/tile_source.h"

namespace fovea {

struct TileLoaderOptions {
  TileSourceFactory source;                  // called once by every worker
  PyramidShape shape;
  int threads = 2;
  std::function<void()> on_change;           // called from a worker after a tile or an error has arrived
};

// One layer. All methods from one thread; what happens in between is the workers' business.
class TileLoader {
 public:
  explicit TileLoader(TileLoaderOptions options);
  ~TileLoader();                             // waits for the tiles that are being read
  TileLoader(const TileLoader&) = delete;
  TileLoader& operator=(const TileLoader&) = delete;

  const PyramidShape& shape() const { return options_.shape; }

  // What is wanted now, most urgent first. Replaces what was wanted before: a tile that scrolled away is not read any more.
  void request(std::span<const TileKey> wanted);
  // At most max_tiles finished ones, in the order in which they were finished.
  std::vector<LoadedTile> take(std::size_t max_tiles);

  std::size_t waiting() const;               // tiles wanted or being read
  std::int64_t held_bytes() const;           // of finished tiles that were not taken; workers pause above kMaxFinished of them
  static constexpr std::size_t kMaxFinished = 48;
  // The first error of reading since the last call, "" if none: "scene.tif: ...". A tile that failed is not asked for again.
  std::string take_error();

 private:
  void work(const std::stop_token& stop);

  TileLoaderOptions options_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<TileKey> wanted_;
  std::unordered_set<TileKey, TileKeyHash> reading_, failed_;
  std::deque<LoadedTile> finished_;
  std::string error_;
  std::vector<std::jthread> workers_;        // last: joined before the rest is destroyed
};

}  // namespace fovea
