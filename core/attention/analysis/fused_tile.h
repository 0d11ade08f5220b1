// A tile's attention with its heads made one, written down: for fusions that are not linear in the heads, and to be kept.
#pragma once

#include <cstdint>
#include <vector>

#include "core/attention/analysis/global_rows.h"
#include "core/attention/analysis/tile_planes.h"

namespace fovea::analysis {

// Fused probabilities: for each block of sixteen queries [slots][kLanes], blocks row by row.
class FusedTile {
 public:
  FusedTile(const AttentionLayer& layer, const WindowOffsets& offsets, const HeadChoice& heads, RowSums sums);
  void compute(const GridRect& tile);
  const std::vector<float>& blocks() const { return fused_; }

 private:
  float* data(std::int64_t block) { return fused_.data() + block * offsets_.slots() * kLanes; }
  void add_head(std::size_t head, const QueryBlock& block);
  void finish(float* fused);

  const WindowOffsets& offsets_;
  HeadChoice heads_;
  RowSums sums_;
  TileKeys keys_;
  std::int64_t blocks_a_row_ = 0;
  std::vector<float> fused_;
};

// One tile's share of r A. fused: its blocks of probabilities.
void spread_fused(const TokenMap& r, const GridRect& tile, const WindowOffsets& offsets, const std::vector<float>& fused, HaloTile& out);

// A c of a tile's queries. out: at the tile's first query, rows out_stride floats apart.
void dot_fused(const TokenMap& c, const GridRect& tile, const WindowOffsets& offsets, const std::vector<float>& fused, float* out,
               std::int64_t out_stride);

}  // namespace fovea::analysis
