// Numbers on tokens, tile by tile: what a sweep reads around a tile, and what it adds up there.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "core/attention/analysis/window_tiles.h"
#include "core/base/progress.h"

namespace fovea::analysis {

// Values of one tile and its surroundings: [tile rows + 2 reach_y][stride]; zeros at first.
struct HaloTile {
  std::int64_t stride = 0;
  std::vector<float> values;
  std::vector<double> globals;
  HaloTile(const GridRect& tile, const WindowOffsets& offsets)
      : stride(kTileColumns + 2 * offsets.reach_x), values(static_cast<std::size_t>((tile.height + 2 * offsets.reach_y) * stride)),
        globals(static_cast<std::size_t>(offsets.globals)) {}
  float* at(std::int64_t row, std::int64_t column, const WindowOffsets& offsets) {
    return values.data() + (row + offsets.reach_y) * stride + column + offsets.reach_x;
  }
};

// c around a tile; zero outside its support.
HaloTile gathered(const TokenMap& c, const GridRect& tile, const WindowOffsets& offsets);

// Sums the tiles' parts in order, so that sums do not depend on threads.
TokenMap sum_of(const AttentionLayer& layer, const std::vector<GridRect>& tiles, const WindowOffsets& offsets,
                const std::vector<HaloTile>& parts, const GridRect& support);

TokenMap zero_map(const AttentionLayer& layer, const GridRect& support);

// Whether r is zero on all of a tile, which lies in its support.
bool all_zero(const TokenMap& r, const GridRect& tile);

// A thread takes the next tile when it is done with one; its buffers stay.
class TileShare {
 public:
  TileShare(std::atomic<std::size_t>& next, const std::stop_token& stop) : next_(next), stop_(stop) {}
  // Error{kCancelled} in a scope of StoppableTorchThreads.
  std::size_t next() {
    throw_if_stopped(stop_);
    return next_++;
  }

 private:
  std::atomic<std::size_t>& next_;
  const std::stop_token& stop_;
};

// Runs work(share) on torch's threads. (at::parallel_for, in a file that is not compiled with OpenMP, quietly uses one.)
void for_each_share(const std::vector<GridRect>& tiles, const std::function<void(TileShare&)>& work);

}  // namespace fovea::analysis
