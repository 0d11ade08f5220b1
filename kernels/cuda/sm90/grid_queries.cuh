// The consumers: a warpgroup takes every third query tile of the CTA and attends to the global keys, then to its window's stages.
#pragma once

#include "kernels/cuda/sm90/epilogue.cuh"
#include "kernels/cuda/sm90/window_masks.h"

namespace fovea::kernels::sm90 {

template <class Element, int kHeadDim>
class GridQueries {
 public:
  using Config = ForwardConfig<kHeadDim>;
  static constexpr int kHalves = Config::kHalves;

  __device__ __forceinline__ GridQueries(const ForwardArguments& arguments, const SharedMemory<kHeadDim>& shared, int warpgroup)
      : arguments_(arguments), shared_(shared), warpgroup_(warpgroup), lane_(threadIdx.x % 32),
        warp_(__shfl_sync(~0u, threadIdx.x / 32 % 4, 0)) {}

  __device__ __forceinline__ void run() {
    int tiles_before = 0;
    bool damaged = false;
    for (int n = 0;; ++n) {
      const int slot = n % kSegmentSlots;
      ptx::barrier_wait(shared_.segment_full(slot), n / kSegmentSlots % 2);
      const Segment& segment = shared_.segment(slot);
      if (segment.tile_begin == segment.tile_end) break;
      stages_done_ = 0;
      if (segment.panels == 1) columns_ = column_mask(segment, group(segment).x.radius, 0, lane_);
      const int first = segment.tile_begin + (warpgroup_ + kWarpgroups - tiles_before % kWarpgroups) % kWarpgroups;
#pragma unroll 1
      for (int tile = first; tile < segment.tile_end; tile += kWarpgroups) {
        attend(segment, slot, tile, (tiles_before + tile - segment.tile_begin));
        damaged |= store_tile<Element>(arguments_, segment, tile, output_, softmax_);
      }
      pass_until((segment.pair_end - segment.pair_begin) * segment.panels);
      tiles_before += segment.tile_end - segment.tile_begin;
      if (lane_ == 0) ptx::barrier_arrive(shared_.segment_empty(slot));
    }
    if constexpr (Element::kWideRange) {
      const bool any = __any_sync(~0u, damaged);
      if (lane_ == 0) arguments_.damage[blockIdx.x * 4 * kWarpgroups + warpgroup_ * 4 + warp_] = any;
    }
  }

 private:
  static constexpr Maximum kMaximum = Element::kWideRange ? Maximum::kOnce : Maximum::kOnline;
  static constexpr std::uint32_t kValuesFromKeys = descriptor_distance(Config::kOperandBytes);

  __device__ __forceinline__ const DilationGroup& group(const Segment& segment) const {
    return arguments_.schedule.groups[segment.group];
  }

  // Stages of no use to this warpgroup: wait for each, or the phases of the barrier would mix.
  __device__ __forceinline__ void pass_until(int stage_count) {
#pragma unroll 1
    for (; stages_done_ < stage_count; ++stages_done_) {
      ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
      release(ring_.stage);
      ring_.advance(arguments_.stages);
    }
  }

  __device__ __forceinline__ void release(int stage) const {
    if (lane_ == 0) ptx::barrier_arrive(shared_.empty(stage));
  }

  __device__ __forceinline__ void score_stage(float (&s)[24], std::uint32_t query, std::uint32_t keys) const {
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      const std::uint32_t a = query + half * descriptor_distance(Config::kQueryHalfBytes);
      const std::uint32_t b = keys + half * descriptor_distance(Config::kOperandHalfBytes);
      if (half == 0) scores_product<Element, kDenseRows, 0>(s, a, b); else scores_product<Element, kDenseRows, 1>(s, a, b);
#pragma unroll
      for (int k = 1; k < 4; ++k) scores_product<Element, kDenseRows, 1>(s, a + 2 * k, b + 2 * k);
    }
  }

  __device__ __forceinline__ void add_stage_values(const std::uint32_t (&p)[3][4], std::uint32_t values) {
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
#pragma unroll
      for (int k = 0; k < 3; ++k)
        values_product<Element, kDenseRows>(output_[half], p[k],
                                            values + half * descriptor_distance(Config::kOperandHalfBytes) + k * 128, 1);
  }

  __device__ __forceinline__ void score_globals(float (&s)[8], std::uint32_t query, int slot, int block) const {
    const std::uint32_t keys = descriptor(shared_.global_keys(slot)) + block * 128;
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      const std::uint32_t a = query + half * descriptor_distance(Config::kQueryHalfBytes);
      const std::uint32_t b = keys + half * (shared_.global_half_bytes >> 4);
      if (half == 0) scores_product<Element, kDenseRows, 0>(s, a, b); else scores_product<Element, kDenseRows, 1>(s, a, b);
#pragma unroll
      for (int k = 1; k < 4; ++k) scores_product<Element, kDenseRows, 1>(s, a + 2 * k, b + 2 * k);
    }
  }

  // Weighs a block of 16 global keys and starts its product with their values, which for the tile's first block overwrites the output.
  __device__ __forceinline__ void add_globals(float (&s)[8], int slot, int block, int accumulate) {
    std::uint32_t mask = 0, p[1][4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (block * kGlobalBlock + i / 2 * 8 + lane_ % 4 * 2 + (i & 1) < arguments_.global_tokens) mask |= 1u << i;
    float alpha[2];
    if (softmax_.template weigh<1, 2>(s, mask, arguments_.scale_log2, alpha) && accumulate) rescale(output_, alpha);
    softmax_.seen = arguments_.global_tokens > 0;
    pack_weights<Element, 1>(s, p);
    const std::uint32_t values = descriptor(shared_.global_values(slot)) + block * 128;
    products_begin();
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
      values_product<Element, kDenseRows>(output_[half], p[0], values + half * (shared_.global_half_bytes >> 4), accumulate);
    products_commit();
  }

  // Scores of a stage to weights. The warp's rows see the stage not at all, whole, or cut by the window's or the grid's edge.
  __device__ __forceinline__ bool weigh_stage(float (&s)[24], PairMask pair, int radius, int rows, float (&alpha)[2]) {
    if (!pair.visible(radius)) {
#pragma unroll
      for (float& x : s) ptx::zero_here(x);
      return false;
    }
    if (pair.cut(radius, rows)) {
#pragma unroll
      for (int key_row = 0; key_row < kPairRows; ++key_row)
#pragma unroll
        for (int row = 0; row < 2; ++row)
          if (!pair.sees(row, key_row, radius, rows)) {
#pragma unroll
            for (int block = 0; block < 3; ++block)
              s[(key_row * 3 + block) * 4 + row * 2] = s[(key_row * 3 + block) * 4 + row * 2 + 1] = minus_infinity();
          }
    }
    return softmax_.template weigh<kPairRows, 3>(s, columns_, arguments_.scale_log2, alpha);
  }

  __device__ __forceinline__ void attend(const Segment& segment, int slot, int tile, int tile_number);

  const ForwardArguments& arguments_;
  const SharedMemory<kHeadDim>& shared_;
  const int warpgroup_, lane_, warp_;
  Ring ring_;
  int stages_done_ = 0;                         // of the segment
  std::uint32_t columns_ = 0;                   // column_mask of the panel at hand
  RowSoftmax<kMaximum> softmax_;
  float output_[kHalves][32];
};

// Per stage: Q K^T of this stage and P V of the one before are in flight together; the softmax overlaps the latter.
template <class Element, int kHeadDim>
__device__ __forceinline__ void GridQueries<Element, kHeadDim>::attend(const Segment& segment, int slot, int tile, int tile_number) {
  const int radius = group(segment).y.radius, rows = segment.rows, panels = segment.panels, buffer = tile_number % kQueryBuffers;
  const int pair = first_pair(tile, radius);
  pass_until((pair - segment.pair_begin) * panels);
  const int end = (end_pair(tile, radius, rows) - segment.pair_begin) * panels;
  PairMask pair_mask{pair_row(pair, radius) - (tile * kTile + warp_ * 2 - radius), pair_row(pair, radius)};
  int panel = 0;
  float s[24], globals[8], alpha[2];
  std::uint32_t p[3][4];
  softmax_.reset();
  ptx::barrier_wait(shared_.query_full(buffer), tile_number / kQueryBuffers % 2);
  const std::uint32_t query = descriptor(shared_.query(buffer));

  const int blocks = arguments_.global_rows / kGlobalBlock;
#pragma unroll 1
  for (int block = blocks - 1; block > 0; --block) {
    products_begin();
    score_globals(globals, query, slot, block);
    products_commit();
    products_wait<0>();
    products_settle(globals);
    add_globals(globals, slot, block, block < blocks - 1);
    products_wait<0>();
  }
  ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
  int previous = ring_.stage;
  std::uint32_t keys = descriptor(shared_.stage(previous));
  products_begin();
  score_globals(globals, query, slot, 0);
  products_commit();
  score_stage(s, query, keys);
  products_commit();
  products_wait<1>();
  products_settle(globals);
  add_globals(globals, slot, 0, blocks > 1);
  products_wait<1>();
  products_settle(s);
  if (panels > 1) columns_ = column_mask(segment, group(segment).x.radius, 0, lane_);
  bool grown = weigh_stage(s, pair_mask, radius, rows, alpha);
  products_wait<0>();
  pack_weights<Element, 3>(s, p);
  if (grown) rescale(output_, alpha);
  ring_.advance(arguments_.stages);
  ++stages_done_;
#pragma unroll 1
  for (; stages_done_ < end; ++stages_done_) {
    const std::uint32_t next = descriptor(shared_.stage(ring_.stage));
    ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
    products_begin();
    score_stage(s, query, next);
    products_commit();
    add_stage_values(p, keys + kValuesFromKeys);
    products_commit();
    if (++panel == panels) {
      panel = 0;
      pair_mask.offset += kPairRows;
      pair_mask.first_row += kPairRows;
    }
    if (panels > 1) columns_ = column_mask(segment, group(segment).x.radius, panel, lane_);
    products_wait<1>();
    products_settle(s);
    grown = weigh_stage(s, pair_mask, radius, rows, alpha);
    products_wait<0>();
    release(previous);
    previous = ring_.stage;
    keys = next;
    ring_.advance(arguments_.stages);
    pack_weights<Element, 3>(s, p);
    if (grown) rescale(output_, alpha);
  }
  if (lane_ == 0) ptx::barrier_arrive(shared_.query_empty(buffer));
  products_begin();
  add_stage_values(p, keys + kValuesFromKeys);
  products_commit();
  products_wait<0>();
#pragma unroll
  for (int half = 0; half < kHalves; ++half) products_settle(output_[half]);
  release(previous);
}

}  // namespace fovea::kernels::sm90
