// A sweep's tiles: queries and keys of one head at a time, turned from tokens x channels into channels x tokens for the kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "core/attention/analysis/attention_layer.h"
#include "core/attention/analysis/window_offsets.h"
#include "kernels/cpu/window_rows.h"

namespace fovea::analysis {

constexpr std::int64_t kLanes = kernels::cpu::kRowLanes;   // queries side by side
constexpr std::int64_t kTileRows = 16,
                       kTileColumns = 4 * kLanes;  // keys of a tile and a 17 x 17 window: 0.7 MB a head, second-level cache

// Tiles of a rectangle of queries, row-major.
std::vector<GridRect> tiles_of(const GridRect& rect);

// Neighbouring queries that are computed together: rows `row`, row + step, ... of a tile, lanes from its column on.
struct QueryBlock {
  std::int64_t row = 0, rows = 1, step = 1;   // rows in the tile
  std::int64_t column = 0, lanes = kLanes;    // first column in the tile, columns that exist
};

// Blocks of a tile for one head's dilation.
std::vector<QueryBlock> blocks_of(const GridRect& tile, std::int64_t dilation);

// Whether a row's sums come with its log-sum-exp and entropy.
enum class RowDetail { kWeights, kStatistics };

// Buffers of one thread, and what they hold of the current tile and head.
class TileKeys {
 public:
  TileKeys(const AttentionLayer& layer, const WindowOffsets& offsets, RowDetail detail);

  // Packs the keys that the tile's queries can see.
  void load(const GridRect& tile, std::size_t head);

  // Computes the rows of a block of the loaded tile: weights(r) [G + offsets of the head][kLanes] of its r-th row, largest 1; times
  // sums(r).inverse_sum they are probabilities.
  void compute(const QueryBlock& block);
  float* weights(std::int64_t r) { return scores_.data_ptr<float>() + r * count_ * kLanes; }
  const kernels::cpu::RowSums& sums(std::int64_t r) const { return sums_[static_cast<std::size_t>(r)]; }
  // Makes probabilities of the weights.
  const float* probabilities(std::int64_t r);

 private:
  void pack_row(std::int64_t y, float* target) const;

  const AttentionLayer& layer_;
  const WindowOffsets& offsets_;
  RowDetail detail_;
  GridRect tile_;
  std::size_t head_ = 0;
  std::int64_t stride_ = 0, packed_top_ = 0, packed_left_ = 0, count_ = 0;
  at::Tensor keys_, query_, global_keys_, scores_;   // float32; torch's memory begins at cache lines, as vectors want it
  std::vector<kernels::cpu::RowSums> sums_;
};

}  // namespace fovea::analysis
