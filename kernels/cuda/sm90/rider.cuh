// Global queries ride along: while a strip's stages are in shared memory for the grid queries, a warp beside the producer lets up to 16
// global queries attend to the keys in the strip's own 8 columns. Segments share out the grid, so every key is met exactly once and read
// for nothing. With two halves of columns there are two such warps; both compute all scores, each weighs the values of its half.
#pragma once

#include "kernels/cuda/sm90/copies.cuh"
#include "kernels/cuda/sm90/shared_memory.cuh"
#include "kernels/cuda/sm90/softmax.cuh"
#include "kernels/cuda/sm90/warp_mma.cuh"
#include "kernels/cuda/sm90/weights.cuh"

namespace fovea::kernels::sm90 {

template <class Element, int kHeadDim>
class Rider {
 public:
  using Config = ForwardConfig<kHeadDim>;

  // half: of the columns of values and output.
  __device__ __forceinline__ Rider(const ForwardArguments& arguments, const SharedMemory<kHeadDim>& shared, int half)
      : arguments_(arguments), shared_(shared), lane_(threadIdx.x % 32), half_(half) {}

  __device__ __forceinline__ void run() {
    int plane = -1, slot_of_plane = arguments_.first_slot[blockIdx.x];
    for (int n = 0;; ++n) {
      const int slot = n % kSegmentSlots;
      ptx::barrier_wait(shared_.segment_full(slot), n / kSegmentSlots % 2);
      const Segment& segment = shared_.segment(slot);
      const bool end = ptx::uniform(segment.tile_end - segment.tile_begin) == 0;
      const int now = end ? -1 : ptx::uniform(segment.batch * arguments_.schedule.heads + segment.head);
      if (now != plane) {
        if (plane >= 0) store(slot_of_plane++, plane);
        if (!end) start_head(segment);
        plane = now;
      }
      if (end) break;
      if (ptx::uniform(segment.first_of_head))
        attend<2>(shared_.global_keys(slot), shared_.global_values(slot), shared_.global_half_bytes, 8 * kSwizzleBytes, GlobalRows{*this});
      attend_segment(segment);
      ptx::barrier_arrive(shared_.segment_empty(slot));
    }
    if (half_ == 0 && lane_ == 0)
      for (; slot_of_plane < arguments_.first_slot[blockIdx.x + 1]; ++slot_of_plane) arguments_.partials.directory[slot_of_plane] = -1;
  }

 private:
  // Which keys of group g of 8 count: none, or bits for the thread's two.
  struct GlobalRows {
    const Rider& rider;
    __device__ __forceinline__ std::uint32_t operator()(int group) const {
      return leading(rider.arguments_.global_tokens - group * kTile, rider.lane_);
    }
  };
  struct GridRows {
    int row, begin, end;
    std::uint32_t columns;
    __device__ __forceinline__ std::uint32_t operator()(int group) const { return row + group >= begin && row + group < end ? columns : 0; }
  };

  // Of 8 keys, the thread's two that are among the first `count`.
  __device__ __forceinline__ static std::uint32_t leading(int count, int lane) {
    return (lane % 4 * 2 < count ? 1 : 0) | (lane % 4 * 2 + 1 < count ? 2 : 0);
  }

  // Queries of a new (batch, head), once the riders have left the old ones; each loads half of the columns.
  __device__ __forceinline__ void start_head(const Segment& segment) {
    if constexpr (Config::kRiders > 1) asm volatile("bar.sync 1, %0;" ::"n"(32 * Config::kRiders) : "memory"); else __syncwarp();
    if (lane_ == 0) {
      ptx::barrier_arrive_expect(shared_.rider_query_full(), shared_.rider_half_bytes);
      load_box(shared_.rider_query() + half_ * shared_.rider_half_bytes, arguments_.globals.query, shared_.rider_query_full(),
               TokenCoordinates{half_ * kHalfColumns, segment.head, 0, segment.batch});
    }
    ptx::barrier_wait(shared_.rider_query_full(), query_parity_);
    query_parity_ ^= 1;
    softmax_.reset();
#pragma unroll
    for (float& x : output_) x = 0.0f;
  }

  __device__ __forceinline__ void attend_segment(const Segment& segment) {
    const int own_column = ptx::uniform(segment.x0 - segment.column_begin), own_panel = own_column / kPanelColumns;
    const std::uint32_t own = (own_column - own_panel * kPanelColumns) * kSwizzleBytes;
    const int radius = arguments_.schedule.groups[segment.group].y.radius, panels = ptx::uniform(segment.panels);
    const int band_end = ptx::uniform(segment.band_end);
    GridRows rows{0, segment.tile_begin * kTile, smaller(segment.tile_end * kTile, segment.rows),
                  leading(segment.columns - segment.x0, lane_)};
#pragma unroll 1
    for (int band = ptx::uniform(segment.band_begin); band < band_end; ++band) {
      rows.row = band_row(band, radius, Config::kStageRows);
      const bool ours = rows.row + Config::kStageRows > rows.begin && rows.row < rows.end;
#pragma unroll 1
      for (int panel = 0; panel < panels; ++panel) {
        ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
        if (ours && panel == own_panel) {
          const std::uint32_t keys = shared_.stage(ring_.stage) + own;
          attend<Config::kStageRows>(keys, keys + Config::kOperandBytes, Config::kOperandHalfBytes, kPanelColumns * kSwizzleBytes, rows);
        }
        __syncwarp();
        if (lane_ == 0) ptx::barrier_arrive(shared_.empty(ring_.stage));
        ring_.advance(arguments_.stages);
      }
    }
  }

  // 16 columns of the queries from chunk `chunk` on. With 8 rows of queries in shared memory the other 8 are zeros.
  __device__ __forceinline__ void load_queries(std::uint32_t (&q)[4], int half, int chunk) const {
    const bool all = arguments_.rider_rows == kMostRidingQueries;
    load_matrices<false>(q, swizzled(shared_.rider_query() + half * shared_.rider_half_bytes, lane_ % (all ? 16 : 8), chunk + lane_ / 16));
    if (!all) q[1] = q[3] = 0;
  }

  // Attends to kGroups groups of 8 keys, group_bytes apart.
  template <int kGroups, class Counts>
  __device__ __forceinline__ void attend(std::uint32_t keys, std::uint32_t values, int half_bytes, int group_bytes, const Counts& counts) {
    float s[kGroups * 4], alpha[2];
    score<kGroups>(s, keys, half_bytes, group_bytes);
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      const std::uint32_t mask = counts(group);
#pragma unroll
      for (int i = 0; i < 4; ++i)
        if (!(mask >> i % 2 & 1)) s[group * 4 + i] = ptx::minus_infinity();
    }
    constexpr std::uint32_t kBoth = 3;
    float bias[2][2];
    if (softmax_.template meet<kGroups, 1>(s, kBoth, arguments_.scale_log2, alpha)) {
#pragma unroll
      for (int i = 0; i < 32; ++i) output_[i] *= alpha[i / 2 % 2];
    }
    softmax_.template bias<1>(kBoth, bias);
    softmax_.template weigh<kGroups, 1>(s, bias, arguments_.scale_log2);
    std::uint32_t p[kGroups / 2][4];
    pack_weights<Element, kGroups / 2>(s, p);
    add_values<kGroups>(p, values + half_ * half_bytes, group_bytes);
  }

  // Operands of a step of 16 columns: the queries', and two 8 x 8 matrices of each group.
  template <int kGroups>
  struct Step {
    std::uint32_t query[4], keys[kGroups / 2][4];
    __device__ __forceinline__ void load(const Rider& rider, int step, std::uint32_t at, int half_bytes, int group_bytes) {
      const int half = step / 4, chunk = step % 4 * 2, matrix = rider.lane_ / 8;
      at += half * half_bytes;
      rider.load_queries(query, half, chunk);
#pragma unroll
      for (int i = 0; i < kGroups / 2; ++i) {
        const int group = kGroups == 4 ? matrix : matrix % 2, which = kGroups == 4 ? i : matrix / 2;
        load_matrices<false>(keys[i], swizzled(at + group * group_bytes, rider.lane_ % 8, chunk + which));
      }
    }
    __device__ __forceinline__ std::uint32_t key(int group, int which) const {
      return kGroups == 4 ? keys[which][group] : keys[0][which * 2 + group];
    }
  };

  // Operands are loaded a step ahead, and successive products are of different groups: the warp is alone with their latencies.
  template <int kGroups>
  __device__ __forceinline__ void score(float (&s)[kGroups * 4], std::uint32_t keys, int half_bytes, int group_bytes) const {
    constexpr int kSteps = 4 * Config::kHalves;
    Step<kGroups> step[2];
#pragma unroll
    for (float& x : s) x = 0.0f;
    step[0].load(*this, 0, keys, half_bytes, group_bytes);
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
      if (i + 1 < kSteps) step[(i + 1) % 2].load(*this, i + 1, keys, half_bytes, group_bytes);
#pragma unroll
      for (int group = 0; group < kGroups; ++group)
        warp_product<Element>(s + group * 4, step[i % 2].query, step[i % 2].key(group, 0), step[i % 2].key(group, 1));
    }
  }

  template <int kGroups>
  __device__ __forceinline__ void add_values(const std::uint32_t (&p)[kGroups / 2][4], std::uint32_t values, int group_bytes) {
    const int matrix = lane_ / 8;
#pragma unroll
    for (int step = 0; step < kGroups / 2; ++step) {
      std::uint32_t v[4][4];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        load_matrices<true>(v[i], swizzled(values + (step * 2 + matrix % 2) * group_bytes, lane_ % 8, i * 2 + matrix / 2));
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        warp_product<Element>(output_ + i * 8, p[step], v[i][0], v[i][1]);
        warp_product<Element>(output_ + i * 8 + 4, p[step], v[i][2], v[i][3]);
      }
    }
  }

  // This (batch, head)'s partial result into a slot, and the slot into the directory.
  __device__ __forceinline__ void store(int slot, int plane) const {
    const PartialResults& partials = arguments_.partials;
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      const int query = row * 8 + lane_ / 4;
      const float sum = softmax_.total(row);
      if (query >= arguments_.global_tokens) continue;
      float* to = partials.data + partials.row(slot, query, arguments_.global_tokens);
#pragma unroll
      for (int j = 0; j < 8; ++j)
        *reinterpret_cast<float2*>(to + half_ * kHalfColumns + j * 8 + lane_ % 4 * 2) =
            make_float2(output_[j * 4 + row * 2], output_[j * 4 + row * 2 + 1]);
      if (half_ == 0 && lane_ % 4 == 0) *reinterpret_cast<float2*>(to + partials.columns) = make_float2(softmax_.shift[row], sum);
    }
    if (half_ == 0 && lane_ == 0) partials.directory[slot] = plane;
  }

  const ForwardArguments& arguments_;
  const SharedMemory<kHeadDim>& shared_;
  const int lane_, half_;
  Ring ring_;
  std::uint32_t query_parity_ = 0;
  RowSoftmax softmax_;
  float output_[32];
};

}  // namespace fovea::kernels::sm90
