// The global queries on their own, split over the keys: where nobody rides along (head_dim 128, or partial results too large for the
// workspace). Reads every key and value once more, so it is bound by memory.
#pragma once

#include "kernels/cuda/sm90/global_arguments.h"
#include "kernels/cuda/sm90/global_queries.cuh"

namespace fovea::kernels::sm90 {

constexpr int kSplitBlocks = kSplitKeys / 8;
constexpr int kSplitStages = 3;
constexpr int kSplitThreads = 160;              // a warpgroup and the producer's warp

template <int kHeadDim>
struct SplitConfig {
  static constexpr int kHalves = kHeadDim / kHalfColumns;
  static constexpr int kOperandHalfBytes = kSplitKeys * kSwizzleBytes;
  static constexpr int kStageBytes = 2 * kHalves * kOperandHalfBytes;
  static constexpr int kQueryHalfBytes = kQueryRows * kSwizzleBytes;
  static constexpr int kStageOffset = kHalves * kQueryHalfBytes;
  static constexpr int kBarrierOffset = kStageOffset + kSplitStages * kStageBytes;
  static constexpr int kSharedBytes = kBarrierOffset + 8 * (2 * kSplitStages + 1);
};

// blockIdx: plane (batch * heads + head), split.
template <class Element, int kHeadDim>
__global__ __launch_bounds__(kSplitThreads) void global_kernel(const __grid_constant__ SplitArguments arguments) {
  using Config = SplitConfig<kHeadDim>;
  extern __shared__ __align__(1024) unsigned char memory[];
  const std::uint32_t base = ptx::shared_address(memory), full = base + Config::kBarrierOffset, empty = full + 8 * kSplitStages;
  const std::uint32_t query_full = empty + 8 * kSplitStages;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kSplitStages; ++i) {
      ptx::barrier_init(full + 8 * i, 1);
      ptx::barrier_init(empty + 8 * i, 4);
    }
    ptx::barrier_init(query_full, 1);
    ptx::barrier_init_fence();
  }
  __syncthreads();
  const int plane = blockIdx.x, batch = plane / arguments.heads, head = plane % arguments.heads;
  const std::int64_t all = (arguments.token_count + kSplitKeys - 1) / kSplitKeys;
  const int begin = blockIdx.y * arguments.stages_per_split;
  const int end = static_cast<int>(min(all, std::int64_t{begin} + arguments.stages_per_split));
  Ring ring;
  if (threadIdx.x == 128) {
    ptx::barrier_arrive_expect(query_full, Config::kHalves * Config::kQueryHalfBytes);
    for (int half = 0; half < Config::kHalves; ++half)
      load_box(base + half * Config::kQueryHalfBytes, arguments.tokens.query, query_full,
               TokenCoordinates{half * kHalfColumns, head, 0, batch});
    for (int i = begin; i < end; ++i) {
      const std::uint32_t barrier = full + 8 * ring.stage, keys = base + Config::kStageOffset + ring.stage * Config::kStageBytes;
      ptx::barrier_wait(empty + 8 * ring.stage, ring.parity ^ 1);
      ptx::barrier_arrive_expect(barrier, Config::kStageBytes);
      for (int half = 0; half < Config::kHalves; ++half) {
        const TokenCoordinates at{half * kHalfColumns, head, i * kSplitKeys, batch};
        load_box(keys + half * Config::kOperandHalfBytes, arguments.tokens.key, barrier, at);
        load_box(keys + (Config::kHalves + half) * Config::kOperandHalfBytes, arguments.tokens.value, barrier, at);
      }
      ring.advance(kSplitStages);
    }
  } else if (threadIdx.x < 128) {
    constexpr std::uint32_t kHalfDistance = descriptor_distance(Config::kOperandHalfBytes);
    const int lane = threadIdx.x % 32;
    const bool has_queries = ptx::uniform(threadIdx.x / 32 * 16) < arguments.global_tokens;
    GlobalAccumulator<Element, kHeadDim> accumulator;
    accumulator.reset();
    ptx::barrier_wait(query_full, 0);
#pragma unroll 1
    for (int i = begin; i < end; ++i) {
      const std::uint32_t keys = descriptor(base + Config::kStageOffset + ring.stage * Config::kStageBytes);
      const std::int64_t left = arguments.token_count - std::int64_t{i} * kSplitKeys;
      ptx::barrier_wait(full + 8 * ring.stage, ring.parity);
      accumulator.template attend<kSplitBlocks, kDenseRows>(
          descriptor(base), {keys, keys + Config::kHalves * kHalfDistance, kHalfDistance},
          leading_keys<kSplitBlocks>(static_cast<int>(min(left, std::int64_t{kSplitKeys})), lane), arguments.scale_log2, has_queries);
      if (lane == 0) ptx::barrier_arrive(empty + 8 * ring.stage);
      ring.advance(kSplitStages);
    }
    accumulator.store(arguments.partials, plane * arguments.splits + blockIdx.y, plane, arguments.global_tokens);
  }
}

}  // namespace fovea::kernels::sm90
