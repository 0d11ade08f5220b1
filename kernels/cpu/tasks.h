// The tasks into which the CPU back end cuts a call, and the two families of kernels that run them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/attention_params.h"
#include "kernels/cpu/block_plan.h"

namespace fovea::kernels::cpu {

// A block of grid queries (or keys, in the backward pass) of one head of one image.
struct BlockTask {
  std::int64_t batch = 0;
  int head = 0, dilation = 1;
  bool transposed = false;
  TileShape tile;
  GridBlock block;
};

// The global tokens of one head against the tokens [first_token, first_token + tokens).
struct GlobalSlice {
  std::int64_t batch = 0;
  int head = 0;
  std::int64_t first_token = 0, tokens = 0;
};

// The partial results of all slices of one head of one image, in their order.
struct GlobalMerge {
  std::int64_t batch = 0;
  int head = 0;
  std::int64_t slices = 0;
};

// Scratch and partial results are memory of so many floats, aligned for vectors. delta: [B, heads, N], rowsum(grad_output * output) less
// grad_lse. All sizes are multiples of a cache line.
struct TaskKernels {
  struct Pass {
    std::vector<BlockPlan> (*plan)(const AttentionShape& shape);
    std::size_t (*block_floats)(const AttentionShape& shape, std::int64_t halo_tokens);   // scratch of a block and of a slice
    std::size_t (*slice_floats)(const AttentionShape& shape);
    std::size_t (*partial_floats)(const AttentionShape& shape);                           // what a slice leaves to be merged
  };
  Pass forward, backward;

  // Output and lse of the block's queries; partial results of the global queries; their output and lse.
  void (*forward_block)(const AttentionForward& parameters, const BlockTask& task, float* scratch);
  void (*forward_slice)(const AttentionForward& parameters, const GlobalSlice& slice, float* scratch, float* partial);
  void (*merge_forward)(const AttentionForward& parameters, const GlobalMerge& merge, const float* partials, float* scratch);

  // Gradients of the block's tokens; what a slice's tokens give to the gradients of the global tokens; those gradients.
  void (*backward_block)(const AttentionBackward& parameters, const float* delta, const BlockTask& task, float* scratch);
  void (*backward_slice)(const AttentionBackward& parameters, const float* delta, const GlobalSlice& slice, float* scratch, float* partial);
  void (*merge_backward)(const AttentionBackward& parameters, const GlobalMerge& merge, const float* partials, float* scratch);
};

}  // namespace fovea::kernels::cpu
