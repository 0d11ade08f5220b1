// What the CPU back end runs through Highway's dispatch: one block of grid queries, one slice of keys for the global queries.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention_params.h"
#include "kernels/cpu/block_plan.h"

namespace fovea::kernels::cpu {

// The instruction set that was picked, as Highway calls it.
const char* simd_target_name();

// Queries that a vector holds on the machine that runs: the size of a tile.
int simd_lanes();

struct BlockTask {
  std::int64_t batch = 0;
  int head = 0, dilation = 1;
  TileShape tile;
  GridBlock block;
};

// Writes output and lse of the block's queries. scratch: forward_block_floats(shape, halo tokens) floats.
std::size_t forward_block_floats(const AttentionShape& shape, std::int64_t halo_tokens);
void forward_block(const AttentionForward& parameters, const BlockTask& task, float* scratch);

// The global tokens of one head against the tokens [first_token, first_token + tokens): un-normalised partial results.
struct GlobalSlice {
  std::int64_t batch = 0;
  int head = 0;
  std::int64_t first_token = 0, tokens = 0;
};
std::size_t global_partial_floats(const AttentionShape& shape);
std::size_t global_slice_floats(const AttentionShape& shape);
void forward_global_slice(const AttentionForward& parameters, const GlobalSlice& slice, float* scratch, float* partial);

// Merges the slices of one head of one image, in their order, into output and lse. partials: slices * global_partial_floats(shape).
struct GlobalMerge {
  std::int64_t batch = 0;
  int head = 0;
  std::int64_t slices = 0;
};
void merge_global_slices(const AttentionForward& parameters, const GlobalMerge& merge, const float* partials, float* scratch);

// --- backward. delta: [B, heads, N], filled by compute_delta over all tokens first ---------------------------------------------------

void compute_delta(const AttentionBackward& parameters, const GlobalSlice& slice, float* delta);

// Writes the gradients of the block's tokens. scratch: backward_block_floats(shape, halo tokens) floats.
std::size_t backward_block_floats(const AttentionShape& shape, std::int64_t halo_tokens);
void backward_block(const AttentionBackward& parameters, const float* delta, const BlockTask& task, float* scratch);

// What the tokens of a slice give to the gradients of the global tokens: partial sums, global_gradient_floats(shape) of them.
std::size_t global_gradient_floats(const AttentionShape& shape);
std::size_t backward_slice_floats(const AttentionShape& shape);
void backward_global_slice(const AttentionBackward& parameters, const float* delta, const GlobalSlice& slice, float* scratch, float* sums);
void merge_global_gradients(const AttentionBackward& parameters, const GlobalMerge& merge, const float* sums, float* scratch);

}  // namespace fovea::kernels::cpu
