// Global queries ride along: while a strip's stages are in shared memory for the grid queries, warps beside the producer let up to 16
// global queries attend to the keys in the strip's own 8 columns. Segments share out the grid, so every key is met exactly once and read
// for nothing.
//
// A rider has 8 queries. Up to 8 global queries are taken along by three riders that take the strip's stages in turn, so that none of the
// multiprocessor's four quarters has much more to do than the others; what they have for a (batch, head) is put together at its end. Up to
// 16 have two riders, of 8 queries each.
//
// Scores are computed transposed, keys by queries, and so are the weighted values: no row of a product is empty, and queries, which are the
// columns then, stay in registers.
#pragma once

#include "kernels/cuda/sm90/copies.cuh"
#include "kernels/cuda/sm90/rider_state.cuh"

namespace fovea::kernels::sm90 {

template <class Element, int kHeadDim>
class Rider {
 public:
  using Config = ForwardConfig<kHeadDim>;

  __device__ __forceinline__ Rider(const ForwardArguments& arguments, const SharedMemory<kHeadDim>& shared, int rider)
      : arguments_(arguments), shared_(shared), lane_(threadIdx.x % 32), riders_(riders_of(arguments.rider_rows)),
        turns_(turns_of(arguments.rider_rows)), group_(rider / turns_), turn_(rider % turns_) {}

  __device__ __forceinline__ void run() {
    int plane = -1, slot_of_plane = arguments_.first_slot[blockIdx.x];
    for (int n = 0;; ++n) {
      const int slot = n % kSegmentSlots;
      ptx::barrier_wait(shared_.segment_full(slot), n / kSegmentSlots % 2);
      const Segment& segment = shared_.segment(slot);
      const bool end = ptx::uniform(segment.tile_end - segment.tile_begin) == 0;
      const int now = end ? -1 : ptx::uniform(segment.batch * arguments_.schedule.heads + segment.head);
      if (now != plane) {
        if (plane >= 0) leave_head(slot_of_plane++, plane);
        if (!end) start_head(segment);
        plane = now;
      }
      if (end) break;
      if (ptx::uniform(segment.first_of_head) && turn_ == 0) attend_globals(slot);
      attend_segment(segment);
      ptx::barrier_arrive(shared_.segment_empty(slot));
    }
    if (group_ + turn_ == 0 && lane_ == 0)
      for (; slot_of_plane < arguments_.first_slot[blockIdx.x + 1]; ++slot_of_plane) arguments_.partials.directory[slot_of_plane] = -1;
  }

 private:
  // All riders.
  __device__ __forceinline__ void meet_riders() const { asm volatile("bar.sync 1, %0;" ::"r"(32 * riders_) : "memory"); }

  // Queries of a new (batch, head), once the riders have left the old ones.
  __device__ __forceinline__ void start_head(const Segment& segment) {
    ptx::fence_async_proxy();                   // what the riders exchanged through the same memory is past
    meet_riders();
    if (group_ + turn_ == 0 && lane_ == 0) {
      ptx::barrier_arrive_expect(shared_.rider_query_full(), Config::kHalves * arguments_.rider_rows * kSwizzleBytes);
#pragma unroll
      for (int half = 0; half < Config::kHalves; ++half)
        load_box(shared_.rider_query() + half * arguments_.rider_rows * kSwizzleBytes, arguments_.globals.query, shared_.rider_query_full(),
                 TokenCoordinates{half * kHalfColumns, segment.head, 0, segment.batch});
    }
    ptx::barrier_wait(shared_.rider_query_full(), query_parity_);
    query_parity_ ^= 1;
    state_.start(shared_.rider_query() + group_ * kTile * kSwizzleBytes, arguments_.rider_rows * kSwizzleBytes);
  }

  // The riders' parts of this (batch, head)'s partial result into a slot.
  __device__ __forceinline__ void leave_head(int slot, int plane) {
    state_.add_up();
    auto* memory = reinterpret_cast<float*>(shared_.generic + (shared_.rider_query() - shared_.base));
    float* rows = reinterpret_cast<float*>(shared_.generic + Config::kControlOffset + kRiderRowsOffset);
#pragma unroll 1
    for (int other = 1; other < turns_; ++other)
#pragma unroll
      for (int half = 0; half < Config::kHalves; ++half) {
        meet_riders();
        if (turn_ == other) state_.give(memory, rows, half);
        meet_riders();
        if (turn_ == 0) state_.take(memory, rows, half);
      }
    if (turn_ != 0) return;
    state_.store(arguments_.partials, slot, group_ * kTile, arguments_.global_tokens);
    if (group_ == 0 && lane_ == 0) arguments_.partials.directory[slot] = plane;
  }

  __device__ __forceinline__ void attend_globals(int slot) {
    const int key = lane_ / 4, count = arguments_.global_tokens;
    const bool counts[2] = {key < count, key + kTile < count};
    state_.template attend<1>(shared_.global_keys(slot), shared_.global_values(slot), shared_.global_half_bytes, kTile * kSwizzleBytes,
                              counts, arguments_.scale_log2);
  }

  __device__ __forceinline__ void attend_segment(const Segment& segment) {
    const int own_column = ptx::uniform(segment.x0 - segment.column_begin), own_panel = own_column / kPanelColumns;
    const std::uint32_t own = (own_column - own_panel * kPanelColumns) * kSwizzleBytes;
    const int radius = arguments_.schedule.groups[segment.group].y.radius, panels = ptx::uniform(segment.panels);
    const int band_end = ptx::uniform(segment.band_end);
    const int row_begin = segment.tile_begin * kTile, row_end = smaller(segment.tile_end * kTile, segment.rows);
    const bool column = segment.x0 + lane_ / 4 < segment.columns;
#pragma unroll 1
    for (int band = ptx::uniform(segment.band_begin); band < band_end; ++band) {
      const int row = band_row(band, radius, Config::kStageRows);
      const bool ours = row + Config::kStageRows > row_begin && row < row_end;
#pragma unroll 1
      for (int panel = 0; panel < panels; ++panel) {
        ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
        if (ours && panel == own_panel) attend_stage(shared_.stage(ring_.stage) + own, row, row_begin, row_end, column);
        __syncwarp();
        if (lane_ == 0) ptx::barrier_arrive(shared_.empty(ring_.stage));
        ring_.advance(arguments_.stages);
      }
    }
  }

  // The strip's own keys of a stage, if it is this rider's turn.
  __device__ __forceinline__ void attend_stage(std::uint32_t keys, int row, int row_begin, int row_end, bool column) {
    const bool mine = next_turn_ == turn_;
    next_turn_ = next_turn_ + 1 == turns_ ? 0 : next_turn_ + 1;
    if (!mine) return;
    bool counts[Config::kStageRows];
#pragma unroll
    for (int i = 0; i < Config::kStageRows; ++i) counts[i] = column && row + i >= row_begin && row + i < row_end;
    state_.template attend<Config::kStageRows / 2>(keys, keys + Config::kOperandBytes, Config::kOperandHalfBytes,
                                                   kPanelColumns * kSwizzleBytes, counts, arguments_.scale_log2);
  }

  const ForwardArguments& arguments_;
  const SharedMemory<kHeadDim>& shared_;
  const int lane_, riders_, turns_, group_, turn_;
  Ring ring_;
  int next_turn_ = 0;
  std::uint32_t query_parity_ = 0;
  RiderState<Element, kHeadDim> state_;
};

}  // namespace fovea::kernels::sm90
