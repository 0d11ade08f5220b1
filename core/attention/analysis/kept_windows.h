// A layer's attention, written down and kept: of one head, or of heads made one (rows sum to 1), in half precision
// (kernels/cpu/half_rows.h), 2 bytes a query and key of its window, instead of queries and keys that are multiplied anew for every product.
// For regions that a person asks about many times, on the CPU. Dense layers keep all their keys, laid out otherwise (dense_sweep.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <stop_token>
#include <vector>

#include "core/attention/analysis/window_offsets.h"

namespace fovea::analysis {

struct KeptWindows;
using Kept = std::shared_ptr<const KeptWindows>;

struct KeptWindows {
  HeadChoice heads;
  WindowOffsets offsets;
  at::Tensor weights;        // [H, blocks of sixteen queries a row, slots, 16]: halves. Undefined: made of every head whenever it is read
  at::Tensor inverse_sums;   // [H, blocks a row, 16] float32
  at::Tensor global_rows;    // [G, N] float32
  std::vector<Kept> every_head{};
  std::vector<std::int32_t> sources{};   // [slots, heads]: where each head keeps that key; -1: it does not see it
  std::int64_t bytes() const;            // of its own
};

// Bytes of one choice of heads, at most; 0 where it cannot be kept: on GPUs.
std::int64_t kept_windows_bytes(const AttentionLayer& layer);

// All of these: nothing (nullptr, no heads) where it cannot be kept. A stop is noticed between tiles: Error{kCancelled}.
Kept keep_windows(const AttentionLayer& layer, const HeadChoice& heads, const std::stop_token& stop);
// Every head by itself, in order: one sweep.
std::vector<Kept> keep_every_head(const AttentionLayer& layer, const std::stop_token& stop);
// Heads made one from what is kept of every head: whenever it is read, which takes nothing but time, a few times that of one head; or now,
// tens of times faster than from queries and keys.
Kept fuse_when_read(const AttentionLayer& layer, const std::vector<Kept>& every_head, const HeadChoice& heads);
Kept keep_fused(const AttentionLayer& layer, const std::vector<Kept>& every_head, const HeadChoice& heads, const std::stop_token& stop);

// Products with those heads from what was kept, globals aside: as in window_sweep.h. Every weight is off by 2^-11 of itself at most, where
// heads were fused by 2^-10.
TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const KeptWindows& kept);
TokenMap attention_times(const AttentionLayer& layer, const KeptWindows& kept, const TokenMap& c, const GridRect& rect);

}  // namespace fovea::analysis
