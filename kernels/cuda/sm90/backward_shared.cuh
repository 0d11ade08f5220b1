// Names for what lies in a gradient kernel's shared memory.
#pragma once

#include "kernels/cuda/sm90/backward_arguments.h"
#include "kernels/cuda/sm90/shared_memory.cuh"

namespace fovea::kernels::sm90 {

// What the producer posts of a segment. leaves_head: the CTA's next segment is of another (batch, head), or there is none.
struct PostedSegment : Segment {
  bool leaves_head;
};

template <Pass kPass, int kHeadDim>
struct BackwardShared {
  using Config = BackwardConfig<kPass, kHeadDim>;
  std::uint32_t base, global_base, stages;      // shared addresses, multiples of 1024 as the swizzle needs
  unsigned char* generic;
  int global_half_bytes;

  __device__ __forceinline__ BackwardShared(unsigned char* memory, int global_rows)
      : generic(memory), global_half_bytes(global_rows * kSwizzleBytes) {
    // Opaque to the compiler, which would compute it again in every loop.
    asm volatile("mov.u32 %0, %1;" : "=r"(base) : "r"(ptx::shared_address(memory)));
    global_base = base + Config::kGlobalOffset;
    stages = global_base + kSegmentSlots * 2 * Config::kHalves * global_half_bytes;
  }

  __device__ __forceinline__ std::uint32_t full(int stage) const { return barrier(stage); }
  __device__ __forceinline__ std::uint32_t empty(int stage) const { return barrier(kMaxStages + stage); }
  __device__ __forceinline__ std::uint32_t tile_full(int buffer) const { return barrier(2 * kMaxStages + buffer); }
  __device__ __forceinline__ std::uint32_t tile_empty(int buffer) const { return barrier(2 * kMaxStages + Config::kTileBuffers + buffer); }
  __device__ __forceinline__ std::uint32_t segment_full(int slot) const { return barrier(kSegmentBarrier + slot); }
  __device__ __forceinline__ std::uint32_t segment_empty(int slot) const { return barrier(kSegmentBarrier + kSegmentSlots + slot); }

  __device__ __forceinline__ PostedSegment& segment(int slot) const {
    return reinterpret_cast<PostedSegment*>(generic + Config::kControlOffset + kSegmentOffset)[slot];
  }
  __device__ __forceinline__ std::uint32_t tile(int buffer) const { return base + Config::kTileOffset + buffer * Config::kTileBytes; }
  // operand: 0 or 1, each half by half.
  __device__ __forceinline__ std::uint32_t globals(int slot, int operand) const {
    return global_base + (slot * 2 + operand) * Config::kHalves * global_half_bytes;
  }
  __device__ __forceinline__ std::uint32_t exchange(int warpgroup, int which) const {
    return base + Config::kExchangeOffset + (warpgroup * Config::kExchanges + which) * Config::kExchangeBytes;
  }
  __device__ __forceinline__ std::uint32_t stage(int index) const { return stages + index * Config::kStageBytes; }
  // Log-sum-exp of kStatisticRows queries, then their delta; index: a tile's buffer or a stage.
  __device__ __forceinline__ std::uint32_t statistics(int index) const {
    return base + Config::kStatisticOffset + index * Config::kStatisticBytes;
  }

  // One thread. All lanes that wrote or read something themselves arrive: one for all after __syncwarp() would do, but racecheck does not
  // follow that.
  __device__ __forceinline__ void init_barriers() const {
    constexpr int kWarps = 4 * Config::kConsumers, kLanes = 32;
    for (int i = 0; i < Config::kMostStages; ++i) {
      ptx::barrier_init(full(i), 1 + (kPass == Pass::kKey ? kLanes : 0));
      ptx::barrier_init(empty(i), kWarps * (kPass == Pass::kKey ? kLanes : 1));
    }
    for (int i = 0; i < Config::kTileBuffers; ++i) {
      ptx::barrier_init(tile_full(i), 1 + (kPass == Pass::kQuery ? kLanes : 0));
      ptx::barrier_init(tile_empty(i), 4 * kLanes);
    }
    for (int i = 0; i < kSegmentSlots; ++i) {
      ptx::barrier_init(segment_full(i), 1);
      ptx::barrier_init(segment_empty(i), kLanes * (kWarps + 1));
    }
    ptx::barrier_init_fence();
  }

 private:
  static constexpr int kSegmentBarrier = 2 * kMaxStages + 2 * Config::kTileBuffers;
  static constexpr int kSegmentOffset = 512;
  static_assert(8 * (kSegmentBarrier + 2 * kSegmentSlots) <= kSegmentOffset);
  static_assert(kSegmentOffset + kSegmentSlots * sizeof(PostedSegment) <= 1024);

  __device__ __forceinline__ std::uint32_t barrier(int index) const { return base + Config::kControlOffset + 8 * index; }
};

}  // namespace fovea::kernels::sm90
