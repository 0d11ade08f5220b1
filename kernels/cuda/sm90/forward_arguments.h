// What the forward kernel is launched with, and its shared memory. Host and device.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "kernels/cuda/sm90/strip_schedule.h"

namespace fovea::kernels::sm90 {

constexpr int kSwizzleBytes = 128;              // a row of every operand: 64 elements, the widest swizzle of the copy engine
constexpr int kHalfColumns = 64;                // head_dim 128 is two such halves; head_dim 32 half a one, filled with zeros by TMA
constexpr int kPairKeys = kPairRows * kPanelColumns;
constexpr int kQueryRows = kTile * kTile;
constexpr int kGlobalBlock = 16;                // global keys of one P V step
constexpr int kMostRidingQueries = 16;          // global queries that ride along, 8 with a warp
constexpr int kMostRiders = 3;                  // warps beside the producer
constexpr int kSegmentSlots = 2;
constexpr int kMaxStages = 16;
constexpr int kSharedBytes = 232448;            // what a block may have on sm_90

// head_dim as the kernel is compiled: 64 (also for 32) or 128.
template <int kHeadDim>
struct ForwardConfig {
  static constexpr int kHalves = kHeadDim / kHalfColumns;
  static constexpr int kStagePairs = kHeadDim == 64 ? 2 : 1;  // pairs of key rows: as many scores as there are registers for
  static constexpr int kStageRows = kStagePairs * kPairRows;
  static constexpr int kOperandHalfBytes = kStagePairs * kPairKeys * kSwizzleBytes;
  static constexpr int kOperandBytes = kHalves * kOperandHalfBytes;
  static constexpr int kStageBytes = 2 * kOperandBytes;       // keys, then values; each half by half
  static constexpr int kQueryHalfBytes = kQueryRows * kSwizzleBytes;
  static constexpr int kQueryBytes = kHalves * kQueryHalfBytes;
  static constexpr int kThreads = 128 * (kWarpgroups + 1);
  // setmaxnreg: the roles together get what the kernel starts with, 4 x 128 a thread, never more: it would wait for ever.
  static constexpr int kConsumerRegisters = 136;
  static constexpr int kProducerRegisters = 4 * 128 - kWarpgroups * kConsumerRegisters;
  // One tile a warpgroup at work and the next; with room for more, a finished tile, which leaves through the buffer of its queries by TMA,
  // need not be waited for.
  static constexpr bool kStoresLinger = kHeadDim == 64;
  static constexpr int kQueryBuffers = kStoresLinger ? 2 * kWarpgroups : kWarpgroups + 1;

  static constexpr int kQueryOffset = 0;
  static constexpr int kControlOffset = kQueryOffset + kQueryBuffers * kQueryBytes;
  static constexpr int kGlobalOffset = kControlOffset + 1024;
  // Keys and values.
  FOVEA_HOST_DEVICE static constexpr int global_bytes(int global_rows) { return 2 * kHalves * global_rows * kSwizzleBytes; }
  FOVEA_HOST_DEVICE static constexpr int rider_query_offset(int global_rows) {
    return kGlobalOffset + kSegmentSlots * global_bytes(global_rows);
  }
  // The riding queries, and what riders exchange when they have left those.
  FOVEA_HOST_DEVICE static constexpr int rider_bytes(int rider_rows) {
    constexpr int kExchangeBytes = kTile * kHalfColumns * static_cast<int>(sizeof(float));
    const int queries = kHalves * rider_rows * kSwizzleBytes;
    return queries > 0 && queries < kExchangeBytes ? kExchangeBytes : queries;
  }
  FOVEA_HOST_DEVICE static constexpr int stage_offset(int global_rows, int rider_rows) {
    return rider_query_offset(global_rows) + rider_bytes(rider_rows);
  }
  FOVEA_HOST_DEVICE static constexpr int stages(int global_rows, int rider_rows) {
    const int fitting = (kSharedBytes - stage_offset(global_rows, rider_rows)) / kStageBytes;
    return fitting < kMaxStages ? fitting : kMaxStages;
  }
  static_assert(stages(kMaxGlobalTokens, 0) >= 3 && stages(kGlobalBlock, kMostRidingQueries) >= 3);
};

// Riders for a multiple of 8 queries: those that take a strip's stages in turn, and all.
FOVEA_HOST_DEVICE constexpr int turns_of(int rider_rows) { return rider_rows == kTile ? kMostRiders : 1; }
FOVEA_HOST_DEVICE constexpr int riders_of(int rider_rows) { return rider_rows / kTile * turns_of(rider_rows); }

// Partial results of the global queries: slot s holds, for each of them, the weighted values [columns], the shift and the sum of weights:
// value = sum over keys of exp2(score * scale_log2 + shift) * v. directory[s]: batch * heads + head, or -1 for an unused slot.
struct PartialResults {
  float* data;
  std::int32_t* directory;
  int slots, columns;
  FOVEA_HOST_DEVICE std::int64_t row(int slot, int query, int global_tokens) const {
    return (static_cast<std::int64_t>(slot) * global_tokens + query) * (columns + 2);
  }
};

struct OutputView {
  void* data;
  std::int64_t batch_stride, token_stride, head_stride;        // elements
  float* lse;
};

struct Operands {
  CUtensorMap query, key, value;
};

struct ForwardArguments {
  Operands grid[kMaxGroups];                    // rank 5: head_dim, heads, columns, rows, batch
  CUtensorMap results[kMaxGroups];              // the output, likewise, two rows of 8 tokens at a time
  Operands globals;                             // rank 4: head_dim, heads, global tokens, batch
  Schedule schedule;
  OutputView output;
  PartialResults partials;                      // of the riding global queries
  std::int64_t tokens;
  float scale_log2;                             // scale * log2(e)
  int grid_width, global_tokens, head_dim;
  int global_rows;                              // global tokens, rounded up to kGlobalBlock, at least one block
  int rider_rows;                               // of the riding global queries: 8 or 16; 0: nobody rides
  int stages;
  std::int32_t first_slot[kMaxCtas + 1];        // of the riding global queries: CTA i's are first_slot[i] to first_slot[i + 1] - 1
};
static_assert(sizeof(ForwardArguments) <= 8192, "kernel parameters");

}  // namespace fovea::kernels::sm90
