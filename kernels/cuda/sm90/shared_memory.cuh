// Names for what lies in the forward kernel's shared memory, and the ring of stages that producer and consumers walk around.
#pragma once

#include "kernels/cuda/ptx.cuh"
#include "kernels/cuda/sm90/forward_arguments.h"
#include "kernels/cuda/sm90/strip_stream.h"

namespace fovea::kernels::sm90 {

// In the control block: barriers, the mailbox of segments, shifts and sums of 8 queries that a rider gives another.
constexpr int kSegmentOffset = 512, kRiderRowsOffset = 896;

// Position in the ring of stages. The parity is that of the phase a consumer waits for; the producer waits for the other one.
struct Ring {
  int stage = 0;
  std::uint32_t parity = 0;
  __device__ __forceinline__ void advance(int stages) {
    if (++stage == stages) {
      stage = 0;
      parity ^= 1;
    }
  }
};

template <int kHeadDim>
struct SharedMemory {
  using Config = ForwardConfig<kHeadDim>;
  std::uint32_t base, stages, globals;          // shared addresses, multiples of 1024 as the swizzle needs
  unsigned char* generic;
  int global_half_bytes;

  __device__ __forceinline__ SharedMemory(unsigned char* memory, int global_rows, int rider_rows)
      : generic(memory), global_half_bytes(global_rows * kSwizzleBytes) {
    // Opaque to the compiler, which would compute it again in every loop.
    asm volatile("mov.u32 %0, %1;" : "=r"(base) : "r"(ptx::shared_address(memory)));
    globals = base + Config::kGlobalOffset;
    stages = rider_query() + Config::rider_bytes(rider_rows);
  }

  __device__ __forceinline__ std::uint32_t full(int stage) const { return barrier(stage); }
  __device__ __forceinline__ std::uint32_t empty(int stage) const { return barrier(kMaxStages + stage); }
  __device__ __forceinline__ std::uint32_t query_full(int buffer) const { return barrier(2 * kMaxStages + buffer); }
  __device__ __forceinline__ std::uint32_t query_empty(int buffer) const {
    return barrier(2 * kMaxStages + Config::kQueryBuffers + buffer);
  }
  __device__ __forceinline__ std::uint32_t segment_full(int slot) const { return barrier(kSegmentBarrier + slot); }
  __device__ __forceinline__ std::uint32_t segment_empty(int slot) const { return barrier(kSegmentBarrier + kSegmentSlots + slot); }
  __device__ __forceinline__ std::uint32_t rider_query_full() const { return barrier(kSegmentBarrier + 2 * kSegmentSlots); }

  __device__ __forceinline__ Segment& segment(int slot) const {
    return reinterpret_cast<Segment*>(generic + Config::kControlOffset + kSegmentOffset)[slot];
  }
  __device__ __forceinline__ std::uint32_t query(int buffer) const { return base + Config::kQueryOffset + buffer * Config::kQueryBytes; }
  __device__ __forceinline__ std::uint32_t rider_query() const {
    return globals + kSegmentSlots * 2 * Config::kHalves * global_half_bytes;
  }
  __device__ __forceinline__ std::uint32_t stage(int index) const { return stages + index * Config::kStageBytes; }
  __device__ __forceinline__ std::uint32_t global_keys(int slot) const { return globals + slot * 2 * Config::kHalves * global_half_bytes; }
  __device__ __forceinline__ std::uint32_t global_values(int slot) const {
    return globals + (slot * 2 + 1) * Config::kHalves * global_half_bytes;
  }

  // One thread; riders: warps that will take the global queries along. Of segments, which all lanes read, all lanes take leave: one for
  // all after __syncwarp() would do, but racecheck does not follow that.
  __device__ __forceinline__ void init_barriers(int riders) const {
    const int consumers = 4 * kWarpgroups;
    for (int i = 0; i < kMaxStages; ++i) {
      ptx::barrier_init(full(i), 1);
      ptx::barrier_init(empty(i), consumers + riders);
    }
    for (int i = 0; i < Config::kQueryBuffers; ++i) {
      ptx::barrier_init(query_full(i), 1);
      ptx::barrier_init(query_empty(i), 4);
    }
    for (int i = 0; i < kSegmentSlots; ++i) {
      ptx::barrier_init(segment_full(i), 1);
      ptx::barrier_init(segment_empty(i), 32 * (consumers + riders));
    }
    ptx::barrier_init(rider_query_full(), 1);
    ptx::barrier_init_fence();
  }

 private:
  static constexpr int kSegmentBarrier = 2 * kMaxStages + 2 * Config::kQueryBuffers;
  static_assert(8 * (kSegmentBarrier + 2 * kSegmentSlots + 1) <= kSegmentOffset);
  static_assert(kSegmentOffset + kSegmentSlots * sizeof(Segment) <= kRiderRowsOffset);
  static_assert(kRiderRowsOffset + 2 * kTile * sizeof(float) <= 1024);

  __device__ __forceinline__ std::uint32_t barrier(int index) const { return base + Config::kControlOffset + 8 * index; }
};

}  // namespace fovea::kernels::sm90
