// How a consumer warpgroup of a gradient kernel walks: every third tile of the CTA, all stages in order. What it does with a tile is
// query_gradients.cuh and key_gradients.cuh.
#pragma once

#include "kernels/cuda/sm90/backward_shared.cuh"
#include "kernels/cuda/sm90/epilogue.cuh"
#include "kernels/cuda/sm90/window_masks.h"

namespace fovea::kernels::sm90 {

template <Pass kPass, int kHeadDim>
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
      pass_until(ptx::uniform((segment.pair_end - segment.pair_begin) * segment.panels));
      tiles_before += end - begin;
      if (ptx::uniform(segment.leaves_head)) gradients.leave_head(segment);
      ptx::barrier_arrive(shared_.segment_empty(slot));
    }
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

  __device__ __forceinline__ int wait_tile(int tile_number) const {
    const int buffer = tile_number % Config::kTileBuffers;
    ptx::barrier_wait(shared_.tile_full(buffer), tile_number / Config::kTileBuffers % 2);
    return buffer;
  }

  __device__ __forceinline__ void release_tile(int tile_number) const {
    ptx::barrier_arrive(shared_.tile_empty(tile_number % Config::kTileBuffers));
  }

  // The position in the sequence, past the global tokens, of this thread's row 0 or 1 of the tile; -1: outside the grid.
  __device__ __forceinline__ std::int64_t token(const Segment& segment, int tile, int row) const {
    const int y = tile * kTile + warp_ * 2 + row, x = segment.x0 + lane_ / 4;
    if (y >= segment.rows || x >= segment.columns) return -1;
    return token_of(group(segment), segment.phase_y, segment.phase_x, arguments_.grid_width, y, x);
  }

  const BackwardArguments& arguments_;
  const BackwardShared<kPass, kHeadDim>& shared_;
  const int warpgroup_, warp_, lane_;
  Ring ring_;
  int stages_done_ = 0;                         // of the segment
};

// Scores that the window or the grid cuts off: minus infinity. A stage has two rows of streamed tokens; offset as in RowWindow.
__device__ __forceinline__ void cut_rows(float (&s)[24], const RowWindow& window, int offset) {
#pragma unroll
  for (int streamed = 0; streamed < kPairRows; ++streamed)
#pragma unroll
    for (int row = 0; row < 2; ++row)
      if (!window.sees(row, streamed, offset)) {
#pragma unroll
        for (int block = 0; block < 3; ++block)
          s[(streamed * 3 + block) * 4 + row * 2] = s[(streamed * 3 + block) * 4 + row * 2 + 1] = ptx::minus_infinity();
      }
}

// Log-sum-exp or delta: kept in shared memory, two neighbours at a time.
__device__ __forceinline__ float2 load_shared_pair(std::uint32_t address) {
  float2 x;
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(x.x), "=f"(x.y) : "r"(address) : "memory");
  return x;
}
__device__ __forceinline__ float load_shared(std::uint32_t address) {
  float x;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(x) : "r"(address) : "memory");
  return x;
}

// A row of a gradient over a quad of lanes, to its token.
template <class Element, int kHalves>
__device__ __forceinline__ void store_gradient(const BackwardArguments& arguments, const GradientOutput& to, const Segment& segment,
                                               std::int64_t token, int row, const float (&gradient)[kHalves][32]) {
  auto* destination = static_cast<typename Element::Type*>(to.view.data) + segment.batch * to.view.batch_stride +
                      (token + arguments.global_tokens) * to.view.token_stride + segment.head * to.view.head_stride;
  store_row<Element, kHalves>(gradient, row, to.factor, destination, arguments.head_dim, token >= 0);
}

}  // namespace fovea::kernels::sm90
