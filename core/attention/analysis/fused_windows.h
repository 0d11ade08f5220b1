// A layer's attention with its heads made one (rows sum to 1), kept: 4 bytes a query and key of its window, instead of queries and keys that
// are multiplied anew for every product. For regions that a person asks about many times, on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <stop_token>
#include <vector>

#include "core/attention/analysis/window_offsets.h"

namespace fovea::analysis {

struct FusedWindows {
  HeadChoice heads;
  WindowOffsets offsets;
  std::vector<GridRect> tiles;                     // of the grid
  std::vector<std::vector<float>> probabilities;   // a tile: blocks of sixteen queries, row by row; a block [slots][16]
  at::Tensor global_rows;                          // [G, N] float32
};

// Bytes of it; 0 where it cannot be kept: dense layers and GPUs.
std::int64_t fused_windows_bytes(const AttentionLayer& layer);

// nullptr where it cannot be kept. A stop is noticed between tiles: Error{kCancelled}.
std::shared_ptr<const FusedWindows> fuse_windows(const AttentionLayer& layer, const HeadChoice& heads, const std::stop_token& stop);

// Products with those heads from what was kept, globals aside: as in window_sweep.h.
TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const FusedWindows& fused);
TokenMap attention_times(const AttentionLayer& layer, const FusedWindows& fused, const TokenMap& c, const GridRect& rect);

}  // namespace fovea::analysis
