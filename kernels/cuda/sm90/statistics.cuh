// A warp beside the producer that brings log-sum-exp and delta of the queries: with every tile of queries, or with every stage of them.
// Where delta is still to be made it brings what is subtracted from it, the gradient of the log-sum-exp.
// Single floats anywhere in [B, heads, N], so cp.async and not TMA; queries outside the grid get zeros.
#pragma once

#include "kernels/cuda/sm90/backward_shared.cuh"

namespace fovea::kernels::sm90 {

template <Pass kPass, int kHeadDim>
class StatisticsLoader {
 public:
  using Config = BackwardConfig<kPass, kHeadDim>;

  __device__ __forceinline__ StatisticsLoader(const BackwardArguments& arguments, const BackwardShared<kPass, kHeadDim>& shared)
      : arguments_(arguments), shared_(shared), lane_(threadIdx.x % 32) {}

  __device__ __forceinline__ void run() {
    for (int n = 0;; ++n) {
      const int slot = n % kSegmentSlots;
      ptx::barrier_wait(shared_.segment_full(slot), n / kSegmentSlots % 2);
      const Segment& segment = shared_.segment(slot);
      if (segment.tile_begin == segment.tile_end) return;
      if constexpr (kPass == Pass::kQuery) load_tiles(segment); else load_stages(segment);
      ptx::barrier_arrive(shared_.segment_empty(slot));
    }
  }

 private:
  __device__ __forceinline__ void load_tiles(const Segment& segment) {
#pragma unroll 1
    for (int tile = segment.tile_begin; tile < segment.tile_end; ++tile, ++tiles_) {
      const int buffer = tiles_ % Config::kTileBuffers;
      ptx::barrier_wait(shared_.tile_empty(buffer), tiles_ / Config::kTileBuffers % 2 ^ 1);
#pragma unroll
      for (int i = 0; i < kQueryRows; i += 32)
        load(segment, shared_.statistics(buffer), i + lane_, tile * kTile + (i + lane_) / kTile, segment.x0 + lane_ % kTile);
      copies_arrive(shared_.tile_full(buffer));
    }
  }

  __device__ __forceinline__ void load_stages(const Segment& segment) {
    const int radius = arguments_.schedule.groups[segment.group].y.radius;
#pragma unroll 1
    for (int band = segment.band_begin; band < segment.band_end; ++band)
#pragma unroll 1
      for (int panel = 0; panel < segment.panels; ++panel) {
        ptx::barrier_wait(shared_.empty(ring_.stage), ring_.parity ^ 1);
        if (lane_ < kPanelColumns) {
#pragma unroll
          for (int i = 0; i < kPairRows; ++i)
            load(segment, shared_.statistics(ring_.stage), i * kPanelColumns + lane_, band_row(band, radius, kPairRows) + i,
                 segment.column_begin + panel * kPanelColumns + lane_);
        }
        copies_arrive(shared_.full(ring_.stage));
        ring_.advance(arguments_.stages);
      }
  }

  __device__ __forceinline__ void load(const Segment& segment, std::uint32_t statistics, int row, int y, int x) const {
    const bool inside = y >= 0 && y < segment.rows && x < segment.columns;
    const DilationGroup& group = arguments_.schedule.groups[segment.group];
    const std::int64_t plane = static_cast<std::int64_t>(segment.batch) * arguments_.schedule.heads + segment.head;
    const std::int64_t at =
        inside ? plane * arguments_.tokens + arguments_.global_tokens +
                     token_of(group, segment.phase_y, segment.phase_x, arguments_.grid_width, y, x)
               : 0;
    const float* second = Config::kMakesDelta ? arguments_.grad_lse : arguments_.delta;
    copy_float(statistics + row * 4, arguments_.lse + at, inside);
    copy_float(statistics + (Config::kStatisticRows + row) * 4, second ? second + at : arguments_.lse, inside && second);
  }

  const BackwardArguments& arguments_;
  const BackwardShared<kPass, kHeadDim>& shared_;
  const int lane_;
  Ring ring_;
  int tiles_ = 0;
};

}  // namespace fovea::kernels::sm90
