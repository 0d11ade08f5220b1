// What the launches around the gradient kernels are given: delta, and the gradients of the global tokens. Host and device.
#pragma once

#include "kernels/cuda/sm90/backward_arguments.h"

namespace fovea::kernels::sm90 {

constexpr int kDeltaThreads = 256, kDeltaRows = 4;

struct DeltaArguments {
  ConstView output, grad_output;
  const float* grad_lse;                        // or nullptr
  float* delta;                                 // [B, heads, N]
  std::int64_t rows, tokens;                    // rows: batch * heads * those of the sequence's tokens that are asked for, the first ones
  std::int64_t tokens_asked;
  int heads, head_dim;
};

// The gradients of the global tokens in a pass of their own over the grid.
struct GlobalPassArguments {
  CUtensorMap tile[2], stream[2];               // rank 4: head_dim, heads, tokens, batch; the global tokens, and the grid's
  GlobalGradients partials;                     // slot: plane * splits + split
  const float* lse;
  const float* delta;
  std::int64_t tokens, grid_tokens;
  float scale_log2;
  int heads, global_tokens, splits, stages_per_split;
};

struct GlobalMergeArguments {
  GlobalGradients partials;
  ConstView query, key, value, grad_output;
  GradientOutput result[3];                     // grad_query, grad_key, grad_value
  const float* lse;
  const float* delta;
  std::int64_t tokens;
  float scale_log2;
  int heads, head_dim, global_tokens;
};

}  // namespace fovea::kernels::sm90
