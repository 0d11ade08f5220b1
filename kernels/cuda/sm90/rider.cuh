// Global queries ride along: while a strip's stages are in shared memory for the grid queries, one more warpgroup lets the global queries
// attend to the keys in the strip's own 8 columns. Segments share out the grid, so every key is met exactly once and read for nothing.
#pragma once

#include "kernels/cuda/sm90/global_queries.cuh"

namespace fovea::kernels::sm90 {

template <class Element>
class Rider {
 public:
  static constexpr int kHeadDim = 64;
  using Config = ForwardConfig<kHeadDim>;

  __device__ __forceinline__ Rider(const ForwardArguments& arguments, const SharedMemory<kHeadDim>& shared)
      : arguments_(arguments), shared_(shared), lane_(threadIdx.x % 32),
        has_queries_(ptx::uniform(threadIdx.x / 32 % 4 * 16) < arguments.global_tokens) {}

  __device__ __forceinline__ void run() {
    int plane = -1, used = 0;
    const int first_slot = blockIdx.x * arguments_.slots_per_cta;
    for (int n = 0;; ++n) {
      const int slot = n % kSegmentSlots;
      ptx::barrier_wait(shared_.segment_full(slot), n / kSegmentSlots % 2);
      const Segment& segment = shared_.segment(slot);
      const bool end = ptx::uniform(segment.tile_end - segment.tile_begin) == 0;
      const int now = end ? -1 : ptx::uniform(segment.batch * arguments_.schedule.heads + segment.head);
      if (now != plane) {
        if (plane >= 0) accumulator_.store(arguments_.partials, first_slot + used++, plane, arguments_.global_tokens);
        if (!end) start_head(segment);
        plane = now;
      }
      if (end) break;
      if (ptx::uniform(segment.first_of_head)) attend_globals(slot);
      attend_segment(segment);
      ptx::barrier_arrive(shared_.segment_empty(slot));
    }
    if (threadIdx.x % 128 == 0)
      for (; used < arguments_.slots_per_cta; ++used) arguments_.partials.directory[first_slot + used] = -1;
  }

 private:
  // Queries of a new (batch, head), once all four warps have left the old ones.
  __device__ __forceinline__ void start_head(const Segment& segment) {
    asm volatile("bar.sync 1, 128;" ::: "memory");
    if (threadIdx.x % 128 == 0) {
      ptx::barrier_arrive_expect(shared_.rider_query_full(), Config::kQueryBytes);
      load_box(shared_.rider_query(), arguments_.globals.query, shared_.rider_query_full(),
               TokenCoordinates{0, segment.head, 0, segment.batch});
    }
    ptx::barrier_wait(shared_.rider_query_full(), query_parity_);
    query_parity_ ^= 1;
    accumulator_.reset();
  }

  __device__ __forceinline__ void attend_globals(int slot) {
    const std::uint32_t keys = descriptor(shared_.global_keys(slot)), values = descriptor(shared_.global_values(slot));
#pragma unroll 1
    for (int block = 0; block < arguments_.global_rows / kGlobalBlock; ++block)
      accumulator_.template attend<2, kDenseRows>(descriptor(shared_.rider_query()), {keys + block * 128, values + block * 128, 0},
                                                  leading_keys<2>(arguments_.global_tokens - block * kGlobalBlock, lane_),
                                                  arguments_.scale_log2, has_queries_);
  }

  __device__ __forceinline__ void attend_segment(const Segment& segment) {
    const int own_column = ptx::uniform(segment.x0 - segment.column_begin), own_panel = own_column / kPanelColumns;
    const std::uint32_t own = descriptor_distance((own_column - own_panel * kPanelColumns) * kSwizzleBytes);
    const int radius = arguments_.schedule.groups[segment.group].y.radius;
    const int row_begin = segment.tile_begin * kTile, row_end = smaller(segment.tile_end * kTile, segment.rows);
    const int pair_end = ptx::uniform(segment.pair_end), panels = ptx::uniform(segment.panels);
    const std::uint32_t columns = leading_keys<1>(segment.columns - segment.x0, lane_);
#pragma unroll 1
    for (int pair = ptx::uniform(segment.pair_begin); pair < pair_end; ++pair) {
      const int row = pair_row(pair, radius);
      const std::uint32_t mask = (row >= row_begin && row < row_end ? columns : 0) |
                                 (row + 1 >= row_begin && row + 1 < row_end ? columns << 2 : 0);
      const bool ours = row + 1 >= row_begin && row < row_end;
#pragma unroll 1
      for (int panel = 0; panel < panels; ++panel) {
        ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
        if (ours && panel == own_panel) {
          const std::uint32_t keys = descriptor(shared_.stage(ring_.stage)) + own;
          accumulator_.template attend<2, kPanelRows>(descriptor(shared_.rider_query()),
                                                      {keys, keys + descriptor_distance(Config::kOperandBytes), 0}, mask,
                                                      arguments_.scale_log2, has_queries_);
        }
        __syncwarp();
        if (lane_ == 0) ptx::barrier_arrive(shared_.empty(ring_.stage));
        ring_.advance(arguments_.stages);
      }
    }
  }

  const ForwardArguments& arguments_;
  const SharedMemory<kHeadDim>& shared_;
  const int lane_;
  const bool has_queries_;
  Ring ring_;
  std::uint32_t query_parity_ = 0;
  GlobalAccumulator<Element, kHeadDim> accumulator_;
};

}  // namespace fovea::kernels::sm90
