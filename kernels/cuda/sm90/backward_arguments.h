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
constexpr int kTileBuffers = kWarpgroups + 1;   // one tile a warpgroup at work, and the next
constexpr int kGradientColumns = 64;            // head_dim as compiled
constexpr int kMostGlobalsInTile = kGlobalBlock;

template <Pass kPass>
struct BackwardConfig {
  static constexpr int kThreads = 128 * (kWarpgroups + 1);
  // 3 consumers and the producers: 4 x 128, what the kernel starts with
  static constexpr int kConsumerRegisters = kPass == Pass::kQuery ? 152 : 160;
  static constexpr int kProducerRegisters = 512 - 3 * kConsumerRegisters;
  static constexpr int kTileOperandBytes = kQueryRows * kSwizzleBytes;
  static constexpr int kTileBytes = 2 * kTileOperandBytes;
  static constexpr int kOperandBytes = kStageKeys * kSwizzleBytes;
  static constexpr int kStageBytes = 2 * kOperandBytes;
  static constexpr int kGlobalOperandBytes = kGlobalBlock * kSwizzleBytes;
  static constexpr int kGlobalBytes = 2 * kGlobalOperandBytes;
  // Weights between a tile and the globals, transposed, on their way to a product: of keys' and values' gradients, or of queries'.
  static constexpr int kExchanges = kPass == Pass::kQuery ? 2 : 1;
  static constexpr int kExchangeBytes = kGlobalBlock * kSwizzleBytes;
  // Log-sum-exp and delta of the queries: a tile's, or a stage's.
  static constexpr int kStatisticRows = kPass == Pass::kQuery ? kQueryRows : kStageKeys;
  static constexpr int kStatisticBytes = 2 * kStatisticRows * 4;

  static constexpr int kTileOffset = 0;
  static constexpr int kGlobalOffset = kTileOffset + kTileBuffers * kTileBytes;
  static constexpr int kExchangeOffset = kGlobalOffset + kSegmentSlots * kGlobalBytes;
  static constexpr int kControlOffset = kExchangeOffset + kWarpgroups * kExchanges * kExchangeBytes;
  static constexpr int kStatisticOffset = kControlOffset + 1024;
  static constexpr int kStageOffset = (kStatisticOffset + kMaxStages * kStatisticBytes + 1023) / 1024 * 1024;
  static constexpr int kStages = (kSharedBytes - kStageOffset) / kStageBytes;
  static_assert(kStages <= kMaxStages);
};

struct GradientOutput {
  MutableView view;
  float factor;
};

// What CTAs summed for the global tokens: slot s holds for each of them gradients of query, key and value, 64 numbers each, without the
// scale. directory[s]: batch * heads + head, or -1 for an unused slot.
struct GlobalGradients {
  float* data;
  std::int32_t* directory;
  int slots;
  FOVEA_HOST_DEVICE float* row(int slot, int token, int global_tokens) const {
    return data + (static_cast<std::int64_t>(slot) * global_tokens + token) * 3 * kGradientColumns;
  }
};

struct OperandMaps {
  CUtensorMap tile[2], stream[2];               // rank 5: head_dim, heads, columns, rows, batch
};

struct BackwardArguments {
  OperandMaps grid[kMaxGroups];
  CUtensorMap globals[2];                       // of the streamed tensors; rank 4: head_dim, heads, global tokens, batch
  Schedule schedule;
  GradientOutput result[2];                     // kQuery: grad_query; kKey: grad_key, grad_value
  GlobalGradients partials;
  const float* lse;                             // [B, heads, N]
  const float* delta;                           // [B, heads, N]: rowsum(grad_output * output) - grad_lse
  std::int64_t tokens;
  float scale_log2;                             // scale * log2(e)
  int grid_width, global_tokens, head_dim;
  int slots_per_cta;
};
static_assert(sizeof(BackwardArguments) <= 8192, "kernel parameters");

// A row of the sequence that a position of a phase stands for, in [B, heads, N] and past the global tokens.
FOVEA_HOST_DEVICE std::int64_t token_of(const DilationGroup& group, int phase_y, int phase_x, int grid_width, int y, int x) {
  return (static_cast<std::int64_t>(y) * group.y.dilation + phase_y) * grid_width + x * group.x.dilation + phase_x;
}

}  // namespace fovea::kernels::sm90
