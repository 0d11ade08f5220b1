// How a consumer warpgroup of a gradient kernel walks: every third tile of the CTA, all stages in order. What it does with a tile is
// query_gradients.cuh and key_gradients.cuh.
#pragma once

#include "kernels/cuda/sm90/backward_shared.cuh"
#include "kernels/cuda/sm90/epilogue.cuh"
#include "kernels/cuda/sm90/window_masks.h"

namespace fovea::kernels::sm90 {

template <class Element, Pass kPass, int kHeadDim>
class GradientWalk {
 public:
  using Config = BackwardConfig<kPass, kHeadDim>;

  __device__ __forceinline__ GradientWalk(const BackwardArguments& arguments, const BackwardShared<kPass, kHeadDim>& shared, int warpgroup)
      : arguments_(arguments), shared_(shared), warpgroup_(ptx::uniform(warpgroup)), warp_(ptx::uniform(threadIdx.x / 32 % 4)),
        lane_(threadIdx.x % 32) {}

  // gradients.process(segment, slot, tile, tile_number), gradients.leave_head(segment).
  template <class Gradients>
  __device__ __forceinline__ void run(Gradients& gradients) {
    int tiles_before = 0;
    for (int n = 0;; ++n) {
      const int slot = n % kSegmentSlots;
      ptx::barrier_wait(shared_.segment_full(slot), n / kSegmentSlots % 2);
      const PostedSegment& segment = shared_.segment(slot);
      const int begin = ptx::uniform(segment.tile_begin), end = ptx::uniform(segment.tile_end);
      if (begin == end) break;
      stages_done_ = 0;
      const int first = begin + (warpgroup_ + Config::kConsumers - tiles_before % Config::kConsumers) % Config::kConsumers;
#pragma unroll 1
      for (int tile = first; tile < end; tile += Config::kConsumers) gradients.process(segment, slot, tile, tiles_before + tile - begin);
      pass_until(ptx::uniform((segment.band_end - segment.band_begin) * segment.panels));
      tiles_before += end - begin;
      if (ptx::uniform(segment.leaves_head)) gradients.leave_head(segment);
      ptx::barrier_arrive(shared_.segment_empty(slot));
    }
    if (lane_ == 0) stores_wait();
  }

  __device__ __forceinline__ const DilationGroup& group(const Segment& segment) const {
    return arguments_.schedule.groups[segment.group];
  }

  // Stages of no use to this warpgroup: wait for each, or the phases of the barrier would mix.
  __device__ __forceinline__ void pass_until(int stage_count) {
#pragma unroll 1
    for (; stages_done_ < stage_count; ++stages_done_) {
      ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
      pass(ring_.stage);
      ring_.advance(arguments_.stages);
    }
  }

  // Of a stage whose statistics all lanes have read, all lanes take leave; else one, past the wait for its products.
  __device__ __forceinline__ void release(int stage) const {
    if (kPass == Pass::kKey || lane_ == 0) ptx::barrier_arrive(shared_.empty(stage));
  }
  __device__ __forceinline__ void pass(int stage) const {
    __syncwarp();
    if (lane_ != 0) return;
    if constexpr (kPass == Pass::kKey) ptx::barrier_arrive_warp(shared_.empty(stage)); else ptx::barrier_arrive(shared_.empty(stage));
  }

  // The next tile's buffer. The last one's is free when the copy engine has read what leaves through it.
  __device__ __forceinline__ int take_tile(int tile_number) {
    const int buffer = tile_number % Config::kTileBuffers;
    if (!kStoresLinger) release_stored();
    ptx::barrier_wait(shared_.tile_full(buffer), tile_number / Config::kTileBuffers % 2);
    if (kStoresLinger) release_stored();
    return buffer;
  }

  // Gradients of the tile leave through operands of its buffer that no product reads any more; a warp writes the rows that are its own.
  __device__ __forceinline__ void stage_gradient(int tile_number, int operand, int result, const Segment& segment, int tile,
                                                 const float (&gradient)[Config::kHalves][32]) {
    const int buffer = tile_number % Config::kTileBuffers;
    // Long since true, but what racecheck can follow: whoever wrote here before has left.
    ptx::barrier_wait(shared_.tile_empty(buffer), tile_number / Config::kTileBuffers % 2 ^ 1);
    const std::uint32_t rows = shared_.tile(buffer) + operand * Config::kTileOperandBytes + warp_ * kWarpRows * kSwizzleBytes;
    const float factors[2] = {arguments_.factor[result], arguments_.factor[result]};
#pragma unroll
    for (int half = 0; half < Config::kHalves; ++half) stage_rows<Element>(gradient[half], factors, rows + half * Config::kTileHalfBytes);
    send_rows<Config::kHalves>(arguments_.grid[segment.group].result[result], rows, Config::kTileHalfBytes,
                               grid_coordinates(segment, group(segment), segment.x0, tile * kTile + warp_ * kPairRows));
    stored_ = buffer;
  }

  __device__ __forceinline__ void release_stored() const {
    if (stored_ < 0) return;
    if (lane_ == 0) stores_wait_read();
    __syncwarp();
    ptx::barrier_arrive(shared_.tile_empty(stored_));
  }

  // The position in the sequence, past the global tokens, of this thread's row 0 or 1 of the tile; -1: outside the grid.
  __device__ __forceinline__ std::int64_t token(const Segment& segment, int tile, int row) const {
    const int y = tile * kTile + warp_ * 2 + row, x = segment.x0 + lane_ / 4;
    if (y >= segment.rows || x >= segment.columns) return -1;
    return token_of(group(segment), segment.phase_y, segment.phase_x, arguments_.grid_width, y, x);
  }

  static constexpr bool kStoresLinger = Config::kTileBuffers > Config::kConsumers;    // else the next tile comes into the same buffer

  const BackwardArguments& arguments_;
  const BackwardShared<kPass, kHeadDim>& shared_;
  const int warpgroup_, warp_, lane_;
  Ring ring_;
  int stages_done_ = 0;                         // of the segment
  int stored_ = -1;                             // the buffer through which the last tile's gradients leave
};

// Log-sum-exp or delta: kept in shared memory, two neighbours at a time.
__device__ __forceinline__ float2 load_shared_pair(std::uint32_t address) {
  float2 x;
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(x.x), "=f"(x.y) : "r"(address) : "memory");
  return x;
}
__device__ __forceinline__ uint4 load_shared_16_bytes(std::uint32_t address) {
  uint4 x;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w) : "r"(address) : "memory");
  return x;
}
__device__ __forceinline__ float load_shared(std::uint32_t address) {
  float x;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(x) : "r"(address) : "memory");
  return x;
}

}  // namespace fovea::kernels::sm90
