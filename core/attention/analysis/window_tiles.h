// A sweep's tiles: queries and keys of one head at a time, turned from tokens x channels into channels x tokens for window_block.h.
#pragma once

#include <cstdint>
#include <vector>

#include "core/attention/analysis/attention_layer.h"
#include "core/attention/analysis/window_block.h"
#include "core/attention/analysis/window_offsets.h"

namespace fovea::analysis {

constexpr std::int64_t kTileRows = 16,
                       kTileColumns = 4 * kLanes;  // keys of a tile and a 17 x 17 window: 0.7 MB a head, second-level cache

// Tiles of a rectangle of queries, row-major.
std::vector<GridRect> tiles_of(const GridRect& rect);

// Buffers of one thread, and what they hold of the current tile and head.
class TileKeys {
 public:
  TileKeys(const AttentionLayer& layer, const WindowOffsets& offsets);

  // Packs the keys that the tile's queries can see.
  void load(const GridRect& tile, std::size_t head);

  // Probabilities [G + offsets of the head][kLanes] of the queries (y, x) ... (y, x + 15), which must start inside the loaded tile.
  const float* probabilities(std::int64_t y, std::int64_t x, SoftmaxSums& sums);

 private:
  void pack_row(std::int64_t y, float* target) const;

  const AttentionLayer& layer_;
  const WindowOffsets& offsets_;
  GridRect tile_;
  std::size_t head_ = 0;
  std::int64_t stride_ = 0, packed_top_ = 0, packed_left_ = 0;
  std::vector<float> keys_, query_, global_keys_, scores_;
};

}  // namespace fovea::analysis
