// What the launches after the forward kernel are given, which are about the global queries. Host and device.
#pragma once

#include "kernels/cuda/sm90/forward_arguments.h"

namespace fovea::kernels::sm90 {

constexpr int kMergeThreads = 256;
constexpr int kSplitKeys = 48;                  // keys of a stage

// The sum of their partial results.
struct MergeArguments {
  PartialResults partials;
  OutputView output;
  std::int64_t tokens;
  int heads, head_dim, global_tokens;
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
