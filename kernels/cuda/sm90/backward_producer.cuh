// The gradient kernels' producer: one thread that walks the CTA's strips, posts each segment and issues every load.
#pragma once

#include "kernels/cuda/sm90/backward_shared.cuh"
#include "kernels/cuda/sm90/copies.cuh"

namespace fovea::kernels::sm90 {

template <Pass kPass, int kHeadDim>
class BackwardProducer {
 public:
  using Config = BackwardConfig<kPass, kHeadDim>;

  __device__ __forceinline__ BackwardProducer(const BackwardArguments& arguments, const BackwardShared<kPass, kHeadDim>& shared)
      : arguments_(arguments), shared_(shared) {}

  __device__ __forceinline__ void run() {
    StripStream strips(arguments_.schedule, blockIdx.x);
    Segment next;
    bool more = strips.next(next);
    for (int n = 0;; ++n) {
      const int slot = n % kSegmentSlots;
      ptx::barrier_wait(shared_.segment_empty(slot), n / kSegmentSlots % 2 ^ 1);
      PostedSegment& posted = shared_.segment(slot);
      static_cast<Segment&>(posted) = next;
      if (!more) return ptx::barrier_arrive(shared_.segment_full(slot));
      more = strips.next(next);
      posted.leaves_head = !more || next.head != posted.head || next.batch != posted.batch;
      load_globals(posted, slot);
      load_segment(posted);
      tiles_before_ += posted.tile_end - posted.tile_begin;
    }
  }

 private:
  // The arrival publishes the segment (release) and counts the bytes of the globals that come with it.
  __device__ __forceinline__ void load_globals(const Segment& segment, int slot) {
    const std::uint32_t barrier = shared_.segment_full(slot);
    if (arguments_.global_tokens == 0) return ptx::barrier_arrive(barrier);
    ptx::barrier_arrive_expect(barrier, Config::global_bytes(arguments_.global_rows));
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int half = 0; half < Config::kHalves; ++half)
        load_box(shared_.globals(slot, i) + half * shared_.global_half_bytes, arguments_.globals[i], barrier,
                 TokenCoordinates{half * kHalfColumns, segment.head, 0, segment.batch});
  }

  // Every band of streamed rows once; a tile just before the first band that it meets.
  __device__ __forceinline__ void load_segment(const Segment& segment) {
    const DilationGroup& group = arguments_.schedule.groups[segment.group];
    int tile = segment.tile_begin;
#pragma unroll 1
    for (int band = segment.band_begin; band < segment.band_end; ++band) {
#pragma unroll 1
      for (; tile < segment.tile_end && first_band(tile, group.y.radius, kPairRows) <= band; ++tile) load_tile(segment, group, tile);
#pragma unroll 1
      for (int panel = 0; panel < segment.panels; ++panel) load_stage(segment, group, band, panel);
    }
  }

  __device__ __forceinline__ void load_tile(const Segment& segment, const DilationGroup& group, int tile) {
    const int n = tiles_before_ + tile - segment.tile_begin, buffer = n % Config::kTileBuffers;
    ptx::barrier_wait(shared_.tile_empty(buffer), n / Config::kTileBuffers % 2 ^ 1);
    ptx::barrier_arrive_expect(shared_.tile_full(buffer), Config::kTileBytes);
    load_operands<Config::kTileOperands, Config::kTileHalfBytes>(shared_.tile(buffer), arguments_.grid[segment.group].tile,
                                                                 shared_.tile_full(buffer),
                                                                 grid_coordinates(segment, group, segment.x0, tile * kTile));
  }

  __device__ __forceinline__ void load_stage(const Segment& segment, const DilationGroup& group, int band, int panel) {
    const std::uint32_t full = shared_.full(ring_.stage);
    ptx::barrier_wait(shared_.empty(ring_.stage), ring_.parity ^ 1);
    ptx::barrier_arrive_expect(full, Config::kStageBytes);
    load_operands<2, Config::kOperandHalfBytes>(
        shared_.stage(ring_.stage), arguments_.grid[segment.group].stream, full,
        grid_coordinates(segment, group, segment.column_begin + panel * kPanelColumns, band_row(band, group.y.radius, kPairRows)));
    ring_.advance(arguments_.stages);
  }

  // Operands, each half by half.
  template <int kCount, int kHalfBytes>
  __device__ __forceinline__ void load_operands(std::uint32_t to, const CUtensorMap* maps, std::uint32_t barrier, GridCoordinates at) {
#pragma unroll
    for (int i = 0; i < kCount; ++i)
#pragma unroll
      for (int half = 0; half < Config::kHalves; ++half) {
        at.column = half * kHalfColumns;
        load_box(to + (i * Config::kHalves + half) * kHalfBytes, maps[i], barrier, at);
      }
  }

  const BackwardArguments& arguments_;
  const BackwardShared<kPass, kHeadDim>& shared_;
  Ring ring_;
  int tiles_before_ = 0;
};

}  // namespace fovea::kernels::sm90
