// The producer: one thread that walks the CTA's strips, tells the others about each segment and issues every load.
#pragma once

#include "kernels/cuda/sm90/copies.cuh"
#include "kernels/cuda/sm90/shared_memory.cuh"
#include "kernels/cuda/sm90/window_masks.h"

namespace fovea::kernels::sm90 {

template <int kHeadDim>
class Producer {
 public:
  using Config = ForwardConfig<kHeadDim>;

  __device__ __forceinline__ Producer(const ForwardArguments& arguments, const SharedMemory<kHeadDim>& shared)
      : arguments_(arguments), shared_(shared) {}

  __device__ __forceinline__ void run() {
    StripStream strips(arguments_.schedule, blockIdx.x);
    Segment segment;
    for (int n = 0;; ++n) {
      const bool more = strips.next(segment);
      announce(segment, n, more);
      if (!more) return;
      load_segment(segment);
      tiles_before_ += segment.tile_end - segment.tile_begin;
    }
  }

 private:
  // The arrival publishes the segment (release) and counts the bytes of the global keys and values that come with it.
  __device__ __forceinline__ void announce(const Segment& segment, int n, bool more) {
    const int slot = n % kSegmentSlots;
    ptx::barrier_wait(shared_.segment_empty(slot), n / kSegmentSlots % 2 ^ 1);
    shared_.segment(slot) = segment;
    if (!more || arguments_.global_tokens == 0) return ptx::barrier_arrive(shared_.segment_full(slot));
    ptx::barrier_arrive_expect(shared_.segment_full(slot), Config::global_bytes(arguments_.global_rows));
#pragma unroll
    for (int half = 0; half < Config::kHalves; ++half) {
      const TokenCoordinates at{half * kHalfColumns, segment.head, 0, segment.batch};
      const int offset = half * shared_.global_half_bytes;
      load_box(shared_.global_keys(slot) + offset, arguments_.globals.key, shared_.segment_full(slot), at);
      load_box(shared_.global_values(slot) + offset, arguments_.globals.value, shared_.segment_full(slot), at);
    }
  }

  // Every band of key rows once; a tile's queries just before the first band that it meets.
  __device__ __forceinline__ void load_segment(const Segment& segment) {
    const DilationGroup& group = arguments_.schedule.groups[segment.group];
    int tile = segment.tile_begin;
#pragma unroll 1
    for (int band = segment.band_begin; band < segment.band_end; ++band) {
#pragma unroll 1
      for (; tile < segment.tile_end && first_band(tile, group.y.radius, Config::kStageRows) <= band; ++tile)
        load_query(segment, group, tile);
#pragma unroll 1
      for (int panel = 0; panel < segment.panels; ++panel) load_stage(segment, group, band, panel);
    }
  }

  __device__ __forceinline__ void load_query(const Segment& segment, const DilationGroup& group, int tile) {
    const int n = tiles_before_ + tile - segment.tile_begin, buffer = n % Config::kQueryBuffers;
    ptx::barrier_wait(shared_.query_empty(buffer), n / Config::kQueryBuffers % 2 ^ 1);
    ptx::barrier_arrive_expect(shared_.query_full(buffer), Config::kQueryBytes);
    const CUtensorMap& map = arguments_.grid[segment.group].query;
#pragma unroll 1
    for (int row = 0; row < kTile; ++row) {
      GridCoordinates at = grid_coordinates(segment, group, segment.x0, tile * kTile + row);
      const std::uint32_t to = shared_.query(buffer) + place_of_row(row) * kTile * kSwizzleBytes;
#pragma unroll
      for (int half = 0; half < Config::kHalves; ++half, at.column += kHalfColumns)
        load_box(to + half * Config::kQueryHalfBytes, map, shared_.query_full(buffer), at);
    }
  }

  __device__ __forceinline__ void load_stage(const Segment& segment, const DilationGroup& group, int band, int panel) {
    const std::uint32_t full = shared_.full(ring_.stage), keys = shared_.stage(ring_.stage);
    ptx::barrier_wait(shared_.empty(ring_.stage), ring_.parity ^ 1);
    ptx::barrier_arrive_expect(full, Config::kStageBytes);
    GridCoordinates at = grid_coordinates(segment, group, segment.column_begin + panel * kPanelColumns,
                                     band_row(band, group.y.radius, Config::kStageRows));
#pragma unroll
    for (int half = 0; half < Config::kHalves; ++half, at.column += kHalfColumns) {
      const std::uint32_t destination = keys + half * Config::kOperandHalfBytes;
      load_box(destination, arguments_.grid[segment.group].key, full, at);
      load_box(destination + Config::kOperandBytes, arguments_.grid[segment.group].value, full, at);
    }
    ring_.advance(arguments_.stages);
  }

  const ForwardArguments& arguments_;
  const SharedMemory<kHeadDim>& shared_;
  Ring ring_;
  int tiles_before_ = 0;
};

}  // namespace fovea::kernels::sm90
