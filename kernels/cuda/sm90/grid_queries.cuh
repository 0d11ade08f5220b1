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
      : arguments_(arguments), shared_(shared), warpgroup_(ptx::uniform(warpgroup)), lane_(threadIdx.x % 32),
        warp_(ptx::uniform(threadIdx.x / 32 % 4)) {}

  __device__ __forceinline__ void run() {
    int tiles_before = 0;
    bool damaged = false;
    for (int n = 0;; ++n) {
      const int slot = n % kSegmentSlots;
      ptx::barrier_wait(shared_.segment_full(slot), n / kSegmentSlots % 2);
      const Segment& segment = shared_.segment(slot);
      const int begin = ptx::uniform(segment.tile_begin), end = ptx::uniform(segment.tile_end);
      if (begin == end) break;
      stages_done_ = 0;
      prepare_panels(segment);
      const int first = begin + (warpgroup_ + kWarpgroups - tiles_before % kWarpgroups) % kWarpgroups;
#pragma unroll 1
      for (int tile = first; tile < end; tile += kWarpgroups) {
        attend(segment, slot, tile, tiles_before + tile - begin);
        damaged |= store_tile<Element>(arguments_, segment, tile, output_, softmax_);
      }
      pass_until(ptx::uniform((segment.pair_end - segment.pair_begin) * segment.panels));
      tiles_before += end - begin;
      __syncwarp();
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

  __device__ __forceinline__ void add_stage_values(const std::uint32_t (&p)[3][4], std::uint32_t values) {
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
#pragma unroll
      for (int k = 0; k < 3; ++k)
        values_product<Element, kDenseRows>(output_[half], p[k],
                                            values + half * descriptor_distance(Config::kOperandHalfBytes) + k * 128, 1);
  }

  __device__ __forceinline__ void score_globals(float (&s)[8], int slot, int block) const {
    query_.template score<kDenseRows>(s, descriptor(shared_.global_keys(slot)) + block * 128, shared_.global_half_bytes >> 4);
  }

  __device__ __forceinline__ void score_stage(float (&s)[24], std::uint32_t keys) const {
    query_.template score<kDenseRows>(s, keys, descriptor_distance(Config::kOperandHalfBytes));
  }

  // Weighs a block of 16 global keys and starts its product with their values, which for the tile's first block overwrites the output.
  __device__ __forceinline__ void add_globals(float (&s)[8], int slot, int block, int accumulate) {
    std::uint32_t mask = 0, p[1][4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (block * kGlobalBlock + i / 2 * 8 + lane_ % 4 * 2 + (i & 1) < arguments_.global_tokens) mask |= 1u << i;
    float alpha[2], bias[2][4];
    const bool changed = softmax_.template meet<1, 2>(s, mask, arguments_.scale_log2, alpha);
    if (kMaximum == Maximum::kOnline && changed && accumulate) rescale(output_, alpha);
    softmax_.seen = arguments_.global_tokens > 0;
    softmax_.template bias<2>(mask, bias);
    softmax_.template weigh<1, 2>(s, bias, arguments_.scale_log2);
    pack_weights<Element, 1>(s, p);
    const std::uint32_t values = descriptor(shared_.global_values(slot)) + block * 128;
    products_begin();
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
      values_product<Element, kDenseRows>(output_[half], p[0], values + half * (shared_.global_half_bytes >> 4), accumulate);
    products_commit();
  }

  // Scores of a stage to weights, unless the warp's rows see nothing of it (kNothing). kRescale: by alpha, what was accumulated before.
  enum class Weighed { kNothing, kPlain, kRescale };
  __device__ __forceinline__ Weighed weigh_stage(float (&s)[24], const RowWindow& window, int offset, float (&alpha)[2]) {
    if (!window.whole(offset)) {
      if (!window.visible(offset)) return Weighed::kNothing;
#pragma unroll
      for (int key_row = 0; key_row < kPairRows; ++key_row)
#pragma unroll
        for (int row = 0; row < 2; ++row)
          if (!window.sees(row, key_row, offset)) {
#pragma unroll
            for (int block = 0; block < 3; ++block)
              s[(key_row * 3 + block) * 4 + row * 2] = s[(key_row * 3 + block) * 4 + row * 2 + 1] = minus_infinity();
          }
    }
    const bool changed = softmax_.template meet<kPairRows, 3>(s, columns_, arguments_.scale_log2, alpha);
    if (changed || stale_bias_) {
      softmax_.template bias<3>(columns_, bias_);
      stale_bias_ = false;
    }
    softmax_.template weigh<kPairRows, 3>(s, bias_, arguments_.scale_log2);
    return changed && kMaximum == Maximum::kOnline ? Weighed::kRescale : Weighed::kPlain;
  }

  __device__ __forceinline__ void finish_weights(Weighed weighed, const float (&s)[24], const float (&alpha)[2], std::uint32_t (&p)[3][4]) {
    if (weighed == Weighed::kNothing) {
      no_weights(p);
      return;
    }
    pack_weights<Element, 3>(s, p);
    if (kMaximum == Maximum::kOnline && weighed == Weighed::kRescale) rescale(output_, alpha);
  }

  // The masks of a segment's first panels, 6 bits each, are kept; those of wider windows are made as they come.
  static constexpr int kKeptPanels = 5;

  __device__ __forceinline__ void prepare_panels(const Segment& segment) {
    const int panels = smaller(ptx::uniform(segment.panels), kKeptPanels);
    kept_columns_ = 0;
#pragma unroll 1
    for (int panel = 0; panel < panels; ++panel) kept_columns_ |= column_mask(segment, group(segment).x.radius, panel, lane_) << 6 * panel;
    columns_ = kept_columns_;
  }

  __device__ __forceinline__ void select_panel(const Segment& segment, int panel) {
    columns_ = panel < kKeptPanels ? kept_columns_ >> 6 * panel : column_mask(segment, group(segment).x.radius, panel, lane_);
    stale_bias_ = true;
  }

  __device__ __forceinline__ void attend(const Segment& segment, int slot, int tile, int tile_number);

  const ForwardArguments& arguments_;
  const SharedMemory<kHeadDim>& shared_;
  const int warpgroup_, lane_, warp_;
  Ring ring_;
  int stages_done_ = 0;                         // of the segment
  std::uint32_t kept_columns_ = 0;
  std::uint32_t columns_ = 0;                   // column_mask of the panel at hand in the lowest bits
  bool stale_bias_ = true;                      // bias_ belongs to another panel or tile
  float bias_[2][6];
  QueryOperand<Element, kHalves> query_;
  RowSoftmax<kMaximum> softmax_;
  float output_[kHalves][32];
};

// Per stage: Q K^T of this stage and P V of the one before are in flight together; the softmax overlaps the latter.
template <class Element, int kHeadDim>
__device__ __forceinline__ void GridQueries<Element, kHeadDim>::attend(const Segment& segment, int slot, int tile, int tile_number) {
  const int radius = ptx::uniform(group(segment).y.radius), rows = ptx::uniform(segment.rows), panels = ptx::uniform(segment.panels);
  const int pair_begin = ptx::uniform(segment.pair_begin), buffer = tile_number % kQueryBuffers, pair = first_pair(tile, radius);
  pass_until((pair - pair_begin) * panels);
  const int end = (end_pair(tile, radius, rows) - pair_begin) * panels;
  const RowWindow window(tile * kTile + warp_ * 2, radius, rows);
  int offset = pair_row(pair, radius) - window.origin;
  int panel = 0;
  float s[24], globals[8], alpha[2];
  std::uint32_t p[3][4];
  softmax_.reset();
  stale_bias_ = true;
  ptx::barrier_wait(shared_.query_full(buffer), tile_number / kQueryBuffers % 2);
  query_.load(shared_.query(buffer));
  if constexpr (kHalves == 1) {
    __syncwarp();
    if (lane_ == 0) ptx::barrier_arrive(shared_.query_empty(buffer));
  }

  const int blocks = arguments_.global_rows / kGlobalBlock;
#pragma unroll 1
  for (int block = blocks - 1; block > 0; --block) {
    products_begin();
    score_globals(globals, slot, block);
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
  score_globals(globals, slot, 0);
  products_commit();
  score_stage(s, keys);
  products_commit();
  products_wait<1>();
  products_settle(globals);
  add_globals(globals, slot, 0, blocks > 1);
  products_wait<1>();
  products_settle(s);
  if (panels > 1) select_panel(segment, 0);
  Weighed weighed = weigh_stage(s, window, offset, alpha);
  products_wait<0>();
  finish_weights(weighed, s, alpha, p);
  ring_.advance(arguments_.stages);
  ++stages_done_;
#pragma unroll 1
  for (; stages_done_ < end; ++stages_done_) {
    const std::uint32_t next = descriptor(shared_.stage(ring_.stage));
    ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
    products_begin();
    score_stage(s, next);
    products_commit();
    add_stage_values(p, keys + kValuesFromKeys);
    products_commit();
    if (++panel == panels) {
      panel = 0;
      offset += kPairRows;
    }
    if (panels > 1) select_panel(segment, panel);
    products_wait<1>();
    products_settle(s);
    weighed = weigh_stage(s, window, offset, alpha);
    products_wait<0>();
    release(previous);
    previous = ring_.stage;
    keys = next;
    ring_.advance(arguments_.stages);
    finish_weights(weighed, s, alpha, p);
  }
  if (kHalves > 1 && lane_ == 0) ptx::barrier_arrive(shared_.query_empty(buffer));
  products_begin();
  add_stage_values(p, keys + kValuesFromKeys);
  products_commit();
  products_wait<0>();
#pragma unroll
  for (int half = 0; half < kHalves; ++half) products_settle(output_[half]);
  release(previous);
}

}  // namespace fovea::kernels::sm90
