// What the launches after the forward kernel are given. Host and device.
#pragma once

#include "kernels/cuda/sm90/forward_arguments.h"

namespace fovea::kernels::sm90 {

constexpr int kFinishThreads = 256;
constexpr int kSplitKeys = 48;                  // keys of a stage

struct FinishArguments {
  PartialResults partials;
  ConstView query, key, value;
  OutputView output;
  const std::int32_t* damage;
  std::int64_t planes, tokens;                  // planes: batch * heads
  float scale_log2;
  int heads, head_dim, grid_height, grid_width, global_tokens;
  int merge_blocks;                             // planes * global_tokens; the blocks after them repair
  int damage_count;
  Axis y[kMaxGroups], x[kMaxGroups];
  std::uint8_t head_group[kMaxHeads];
};

// The global queries on their own.
struct SplitArguments {
  Operands tokens;                              // rank 4: head_dim, heads, tokens, batch; the query's box: 64 tokens
  PartialResults partials;                      // slot: plane * splits + split
  std::int64_t token_count;
  float scale_log2;
  int heads, global_tokens, splits, stages_per_split;
};

}  // namespace fovea::kernels::sm90
