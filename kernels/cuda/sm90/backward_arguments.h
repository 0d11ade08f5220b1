// What the two gradient kernels are launched with, and their shared memory. Host and device.
//
// Both walk the strips of the forward. A tile of 64 tokens stays, tokens of its halo stream past; the window is symmetric, so it does not
// matter which of them are the queries:
//   kQuery: the tile is queries (and output gradients), keys (and values) stream; gives grad_query and the globals' grad_key, grad_value
//   kKey:   the tile is keys (and values), queries (and output gradients) stream; gives grad_key, grad_value, the globals' grad_query
// The first operands of tile and stream multiply to scores, the second to gradients of weights.
#pragma once

#include "kernels/cuda/sm90/forward_arguments.h"

namespace fovea::kernels::sm90 {

enum class Pass { kQuery, kKey };

constexpr float kLog2E = 1.4426950408889634f;
constexpr int kMostRidingGlobals = kGlobalBlock;               // more of them, or head_dim 128, take a pass of their own (global_pass.cuh)

// head_dim as the kernel is compiled: 64 (also for 32) or 128, which has registers for two consumers only.
template <Pass kPass, int kHeadDim>
struct BackwardConfig {
  static constexpr int kHalves = kHeadDim / kHalfColumns;
  static constexpr int kConsumers = kHeadDim == 64 ? kWarpgroups : 2;
  static constexpr int kThreads = 128 * (kConsumers + 1);
  // Consumers and producers together: what the kernel starts with, 4 x 128 or 3 x 168 a thread.
  static constexpr int kConsumerRegisters = kHeadDim == 128 ? 232 : kPass == Pass::kQuery ? 152 : 160;
  static constexpr int kProducerRegisters = (kHeadDim == 128 ? 3 * 168 : 4 * 128) - kConsumers * kConsumerRegisters;
  static constexpr int kTileBuffers = kHeadDim == 64 ? kConsumers + 1 : kConsumers;   // a tile a warpgroup; the next if there is room
  static constexpr int kMostStages = kHeadDim == 64 ? kMaxStages : 8;
  static constexpr int kTileHalfBytes = kQueryRows * kSwizzleBytes;
  static constexpr int kTileOperandBytes = kHalves * kTileHalfBytes;
  // The query's pass also brings the output, of which delta is made on the way, where there is room for it.
  static constexpr bool kMakesDelta = kPass == Pass::kQuery && kHeadDim == 64;
  static constexpr int kTileOperands = kMakesDelta ? 3 : 2;
  static constexpr int kTileBytes = kTileOperands * kTileOperandBytes;
  static constexpr int kOperandHalfBytes = kPairKeys * kSwizzleBytes;
  static constexpr int kOperandBytes = kHalves * kOperandHalfBytes;
  static constexpr int kStageBytes = 2 * kOperandBytes;
  // Weights between a tile and the globals, transposed, on their way to a product: of keys' and values' gradients, or of queries'.
  static constexpr int kExchanges = kHeadDim == 128 ? 0 : kPass == Pass::kQuery ? 2 : 1;
  static constexpr int kExchangeBytes = kGlobalBlock * kSwizzleBytes;
  // Log-sum-exp and delta of the queries: a tile's, or a stage's.
  static constexpr int kStatisticRows = kPass == Pass::kQuery ? kQueryRows : kPairKeys;
  static constexpr int kStatisticBytes = 2 * kStatisticRows * 4;

  static constexpr int kTileOffset = 0;
  static constexpr int kExchangeOffset = kTileOffset + kTileBuffers * kTileBytes;
  static constexpr int kControlOffset = kExchangeOffset + kConsumers * kExchanges * kExchangeBytes;
  static constexpr int kStatisticOffset = kControlOffset + 1024;
  static constexpr int kStatistics = kPass == Pass::kQuery ? kTileBuffers : kMostStages;
  static constexpr int kGlobalOffset = (kStatisticOffset + kStatistics * kStatisticBytes + 1023) / 1024 * 1024;
  // Both operands of the global tokens.
  FOVEA_HOST_DEVICE static constexpr int global_bytes(int global_rows) { return 2 * kHalves * global_rows * kSwizzleBytes; }
  FOVEA_HOST_DEVICE static constexpr int stage_offset(int global_rows) { return kGlobalOffset + kSegmentSlots * global_bytes(global_rows); }
  FOVEA_HOST_DEVICE static constexpr int stages(int global_rows) {
    const int fitting = (kSharedBytes - stage_offset(global_rows)) / kStageBytes;
    return fitting < kMostStages ? fitting : kMostStages;
  }
  static_assert(stages(kMaxGlobalTokens) >= 3);
};

struct GradientOutput {
  MutableView view;
  float factor;
};

// What was summed for the global tokens: slot s holds for each of them gradients of query, key and value, `columns` numbers each, without
// the scale. directory[s]: batch * heads + head, or -1 for an unused slot.
struct GlobalGradients {
  float* data;
  std::int32_t* directory;
  int slots, columns;
  FOVEA_HOST_DEVICE float* row(int slot, int token, int global_tokens) const {
    return data + (static_cast<std::int64_t>(slot) * global_tokens + token) * 3 * columns;
  }
};

struct OperandMaps {
  CUtensorMap tile[3], stream[2], result[2];    // rank 5: head_dim, heads, columns, rows, batch; the third tile is of the output
};

struct BackwardArguments {
  OperandMaps grid[kMaxGroups];
  CUtensorMap globals[2];                       // of the streamed tensors; rank 4: head_dim, heads, global tokens, batch
  Schedule schedule;
  float factor[2];                              // of the results; kQuery: grad_query; kKey: grad_key, grad_value
  GlobalGradients partials;
  const float* lse;                             // [B, heads, N]
  const float* grad_lse;                        // [B, heads, N] or nullptr
  float* delta;                                 // [B, heads, N]: rowsum(grad_output * output) - grad_lse
  std::int64_t tokens;
  float scale_log2;                             // scale * log2(e)
  int grid_width, global_tokens, head_dim;
  int global_rows, stages;                      // global tokens, rounded up to kGlobalBlock; what fits beside them
  int slots_per_cta;                            // of partials, where the globals' gradients ride
};
static_assert(sizeof(BackwardArguments) <= 8192, "kernel parameters");

// A row of the sequence that a position of a phase stands for, in [B, heads, N] and past the global tokens.
FOVEA_HOST_DEVICE std::int64_t token_of(const DilationGroup& group, int phase_y, int phase_x, int grid_width, int y, int x) {
  return (static_cast<std::int64_t>(y) * group.y.dilation + phase_y) * grid_width + x * group.x.dilation + phase_x;
}

}  // namespace fovea::kernels::sm90
