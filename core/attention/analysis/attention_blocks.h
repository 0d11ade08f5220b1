// Attention probabilities of blocks of neighbouring queries as torch tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "core/attention/analysis/attention_layer.h"

namespace fovea::analysis {

// `tiles` equal tiles of queries side by side, each with the keys around it; tiles may stick out of the grid to the right and below, keys
// on every side, and have probability 0 there (as queries: meaningless rows).
struct AttentionBlock {
  std::int64_t tiles = 1;
  GridRect queries, keys;            // of the first tile; tile t lies t * queries.width further right
  at::Tensor probabilities{};        // [tiles, heads, queries.area(), G + keys.area()] float32
  at::Tensor lse{};                  // [tiles, heads, queries.area()] float32, natural log
  std::int64_t keys_width() const { return keys.width + (tiles - 1) * queries.width; }   // of all tiles together
};

// Visits blocks that together hold every query of rect once, in order. Peak memory: a few times 64 MB on the CPU, 1 GB on a GPU.
void for_each_block(const AttentionLayer& layer, const GridRect& rect, const std::function<void(const AttentionBlock&)>& visit);

// Offsets from each query of a block's tile to each of its keys: int64 [queries.area(), keys.area()].
struct BlockOffsets { at::Tensor dy, dx; };
BlockOffsets block_offsets(const AttentionBlock& block, const at::TensorOptions& options);

// The layer with one head only, if one is chosen; else the layer as it is.
AttentionLayer chosen_heads(const AttentionLayer& layer, const HeadChoice& heads);

}  // namespace fovea::analysis
