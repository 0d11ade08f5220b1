// The consumers: a warpgroup takes every third query tile of the CTA and attends to the global keys, then to its window's stages.
#pragma once

#include "kernels/cuda/sm90/epilogue.cuh"
#include "kernels/cuda/sm90/query_operand.cuh"
#include "kernels/cuda/sm90/stage_softmax.cuh"
#include "kernels/cuda/sm90/weights.cuh"

namespace fovea::kernels::sm90 {

template <class Element, int kHeadDim>
class GridQueries {
 public:
  using Config = ForwardConfig<kHeadDim>;
  static constexpr int kHalves = Config::kHalves;

  __device__ __forceinline__ GridQueries(const ForwardArguments& arguments, const SharedMemory<kHeadDim>& shared, int warpgroup)
      : arguments_(arguments), shared_(shared), warpgroup_(ptx::uniform(warpgroup)), lane_(threadIdx.x % 32),
        warp_(ptx::uniform(threadIdx.x / 32 % 4)), softmax_(arguments.scale_log2, arguments.global_tokens) {}

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
      softmax_.begin_segment(segment, group(segment).x.radius);
      const int first = begin + (warpgroup_ + kWarpgroups - tiles_before % kWarpgroups) % kWarpgroups;
#pragma unroll 1
      for (int tile = first; tile < end; tile += kWarpgroups) {
        attend(segment, slot, tile, tiles_before + tile - begin);
        damaged |= store_tile<Element>(arguments_, segment, tile, output_, softmax_.rows());
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

  __device__ __forceinline__ void load_query(int tile_number) {
    const int buffer = tile_number % kQueryBuffers;
    ptx::barrier_wait(shared_.query_full(buffer), tile_number / kQueryBuffers % 2);
    query_.load(shared_.query(buffer));
    if (query_.kInRegisters) release_query(tile_number);
  }

  __device__ __forceinline__ void release_query(int tile_number) const {
    __syncwarp();
    if (lane_ == 0) ptx::barrier_arrive(shared_.query_empty(tile_number % kQueryBuffers));
  }

  __device__ __forceinline__ void score_globals(float (&s)[8], int slot, int block) const {
    query_.template score<kDenseRows>(s, descriptor(shared_.global_keys(slot)) + block * 128, shared_.global_half_bytes >> 4);
    products_commit();
  }

  // Weighs a block of 16 global keys and starts its product with their values, which for the tile's first block overwrites the output.
  __device__ __forceinline__ void add_globals(float (&s)[8], int slot, int block, int accumulate) {
    float alpha[2];
    std::uint32_t p[1][4];
    if (softmax_.weigh_globals(s, block, alpha) == Weighed::kRescale && accumulate) rescale(output_, alpha);
    pack_weights<Element, 1>(s, p);
    const std::uint32_t values = descriptor(shared_.global_values(slot)) + block * 128;
    products_begin();
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
      values_product<Element, kDenseRows>(output_[half], p[0], values + half * (shared_.global_half_bytes >> 4), accumulate);
    products_commit();
  }

  // All blocks but the first, one after the other; few models have more than 16 global tokens.
  __device__ __forceinline__ void add_further_globals(float (&s)[8], int slot, int blocks) {
#pragma unroll 1
    for (int block = blocks - 1; block > 0; --block) {
      products_begin();
      score_globals(s, slot, block);
      products_wait<0>();
      products_settle(s);
      add_globals(s, slot, block, block < blocks - 1);
      products_wait<0>();
    }
  }

  __device__ __forceinline__ void score_stage(float (&s)[24], std::uint32_t keys) const {
    query_.template score<kDenseRows>(s, keys, descriptor_distance(Config::kOperandHalfBytes));
    products_commit();
  }

  __device__ __forceinline__ void add_stage_values(const std::uint32_t (&p)[3][4], std::uint32_t keys) {
    const std::uint32_t values = keys + kValuesFromKeys;
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
#pragma unroll
      for (int k = 0; k < 3; ++k)
        values_product<Element, kDenseRows>(output_[half], p[k],
                                            values + half * descriptor_distance(Config::kOperandHalfBytes) + k * 128, 1);
    products_commit();
  }

  __device__ __forceinline__ void finish_weights(Weighed weighed, const float (&s)[24], const float (&alpha)[2], std::uint32_t (&p)[3][4]) {
    if (weighed == Weighed::kNothing) {
      no_weights(p);
      return;
    }
    pack_weights<Element, 3>(s, p);
    if (weighed == Weighed::kRescale) rescale(output_, alpha);
  }

  __device__ __forceinline__ void attend(const Segment& segment, int slot, int tile, int tile_number);

  const ForwardArguments& arguments_;
  const SharedMemory<kHeadDim>& shared_;
  const int warpgroup_, lane_, warp_;
  Ring ring_;
  int stages_done_ = 0;                         // of the segment
  StageSoftmax<Element> softmax_;
  QueryOperand<Element, kHalves> query_;
  float output_[kHalves][32];
};

// Per stage: Q K^T of this stage and P V of the one before are in flight together; the softmax overlaps the latter.
template <class Element, int kHeadDim>
__device__ __forceinline__ void GridQueries<Element, kHeadDim>::attend(const Segment& segment, int slot, int tile, int tile_number) {
  const int radius = ptx::uniform(group(segment).y.radius), rows = ptx::uniform(segment.rows), panels = ptx::uniform(segment.panels);
  const int pair_begin = ptx::uniform(segment.pair_begin), pair = first_pair(tile, radius);
  pass_until((pair - pair_begin) * panels);
  const int end = (end_pair(tile, radius, rows) - pair_begin) * panels;
  const RowWindow window(tile * kTile + warp_ * 2, radius, rows);
  int offset = pair_row(pair, radius) - window.origin, panel = 0;
  float s[24], globals[8], alpha[2];
  std::uint32_t p[3][4];
  softmax_.begin_tile();
  load_query(tile_number);

  const int blocks = arguments_.global_rows / kGlobalBlock;
  add_further_globals(globals, slot, blocks);
  ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
  int stage = ring_.stage;
  std::uint32_t keys = descriptor(shared_.stage(stage));
  products_begin();
  score_globals(globals, slot, 0);
  score_stage(s, keys);
  products_wait<1>();
  products_settle(globals);
  add_globals(globals, slot, 0, blocks > 1);
  products_wait<1>();
  products_settle(s);
  Weighed weighed = softmax_.weigh_stage(s, window, offset, alpha);
  products_wait<0>();
  finish_weights(weighed, s, alpha, p);
  ring_.advance(arguments_.stages);
#pragma unroll 1
  for (++stages_done_; stages_done_ < end; ++stages_done_) {
    const std::uint32_t next = descriptor(shared_.stage(ring_.stage));
    ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
    products_begin();
    score_stage(s, next);
    add_stage_values(p, keys);
    if (++panel == panels) {
      panel = 0;
      offset += kPairRows;
    }
    if (panels > 1) softmax_.select_panel(segment, group(segment).x.radius, panel);
    products_wait<1>();
    products_settle(s);
    weighed = softmax_.weigh_stage(s, window, offset, alpha);
    products_wait<0>();
    release(stage);
    stage = ring_.stage;
    keys = next;
    ring_.advance(arguments_.stages);
    finish_weights(weighed, s, alpha, p);
  }
  if (!query_.kInRegisters) release_query(tile_number);
  products_begin();
  add_stage_values(p, keys);
  products_wait<0>();
#pragma unroll
  for (int half = 0; half < kHalves; ++half) products_settle(output_[half]);
  release(stage);
}

}  // namespace fovea::kernels::sm90
