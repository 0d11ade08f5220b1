// The consumers: a warpgroup takes every third query tile of the CTA and attends to the global keys, then to its window's stages.
#pragma once

#include "kernels/cuda/sm90/copies.cuh"
#include "kernels/cuda/sm90/epilogue.cuh"
#include "kernels/cuda/sm90/tile_products.cuh"

namespace fovea::kernels::sm90 {

template <class Element, int kHeadDim>
class GridQueries {
 public:
  __device__ __forceinline__ GridQueries(const ForwardArguments& arguments, const SharedMemory<kHeadDim>& shared, int warpgroup)
      : arguments_(arguments), shared_(shared), warpgroup_(ptx::uniform(warpgroup)), lane_(threadIdx.x % 32),
        warp_(ptx::uniform(threadIdx.x / 32 % 4)), softmax_(arguments.scale_log2, arguments.global_tokens), products_(shared) {}

  __device__ __forceinline__ void run() {
    int tiles_before = 0;
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
        const int last_stage = attend(segment, slot, tile, tiles_before + tile - begin);
        finish_tile(segment, tile, tiles_before + tile - begin, last_stage);
      }
      pass_until(ptx::uniform((segment.band_end - segment.band_begin) * segment.panels));
      tiles_before += end - begin;
      ptx::barrier_arrive(shared_.segment_empty(slot));
    }
    if (lane_ == 0) stores_wait();
  }

 private:
  __device__ __forceinline__ const DilationGroup& group(const Segment& segment) const {
    return arguments_.schedule.groups[segment.group];
  }

  // Stages of no use to this warpgroup: wait for each, or the phases of the barrier would mix.
  __device__ __forceinline__ void pass_until(int stage_count) {
#pragma unroll 1
    for (; stages_done_ < stage_count; ++stages_done_) {
      ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
      __syncwarp();
      release(ring_.stage);
      ring_.advance(arguments_.stages);
    }
  }

  // By one lane; what all lanes did with the stage comes before: a product's wait, or __syncwarp().
  __device__ __forceinline__ void release(int stage) const {
    if (lane_ == 0) ptx::barrier_arrive(shared_.empty(stage));
  }

  __device__ __forceinline__ void take_query(int tile_number) {
    const int buffer = tile_number % Config::kQueryBuffers;
    ptx::barrier_wait(shared_.query_full(buffer), tile_number / Config::kQueryBuffers % 2);
    products_.use_query(buffer);
  }

  // The tile before has left through its queries' buffer, which is free when the copy engine has read it.
  __device__ __forceinline__ void release_stored() const {
    if (stored_ < 0 || lane_ != 0) return;
    stores_wait_read();
    ptx::barrier_arrive(shared_.query_empty(stored_));
  }

  // Log-sum-exp, while the last weighted values of the tile are added up; then the output.
  __device__ __forceinline__ void finish_tile(const Segment& segment, int tile, int tile_number, int last_stage) {
    const TileRows<Element> rows(arguments_, segment, tile, softmax_.rows());
    rows.store_statistics();
    stored_ = tile_number % Config::kQueryBuffers;
    const std::uint32_t box = shared_.query(stored_) + warp_ * kWarpRows * kSwizzleBytes;
    // Long since true, but what racecheck can follow: whoever wrote here before has left.
    ptx::barrier_wait(shared_.query_empty(stored_), tile_number / Config::kQueryBuffers % 2 ^ 1);
    const int y = tile * kTile + warp_;
    const GridCoordinates first = grid_coordinates(segment, group(segment), segment.x0, y),
                          second = grid_coordinates(segment, group(segment), segment.x0, y + kRowDistance);
    products_wait<0>();
    products_.settle_output();
    release(last_stage);
#pragma unroll
    for (int half = 0; half < Config::kHalves; ++half)
      stage_rows<Element>(products_.output()[half], rows.factor, box + half * Config::kQueryHalfBytes);
    send_rows<Config::kHalves>(arguments_.results[segment.group], box, Config::kQueryHalfBytes, first, second);
  }

  // Weighs a block of 16 global keys and starts its product with their values, which for the tile's first block overwrites the output.
  __device__ __forceinline__ void add_globals(float (&s)[8], int slot, int block, int accumulate) {
    float alpha[2];
    std::uint32_t p[1][4];
    if (softmax_.weigh_globals(s, block, !accumulate, alpha)) products_.rescale_output(alpha);
    pack_weights<Element, 1>(s, p);
    products_begin();
    products_.add_global_values(p, slot, block, accumulate);
  }

  // All blocks but the first, one after the other; few models have more than 16 global tokens.
  __device__ __forceinline__ void add_further_globals(float (&s)[8], int slot, int blocks) {
#pragma unroll 1
    for (int block = blocks - 1; block > 0; --block) {
      products_begin();
      products_.score_globals(s, slot, block);
      products_wait<0>();
      products_settle(s);
      add_globals(s, slot, block, block < blocks - 1);
      products_wait<0>();
    }
  }

  __device__ __forceinline__ static RowReach known_here(RowReach reach) {
    for (int* x : {&reach.first[0], &reach.first[1], &reach.last[0], &reach.last[1]}) *x = ptx::known_here(*x);
    return reach;
  }

  // The weights of the stage as operands, with nothing in flight. They are packed before it is known whether they are too large: that takes
  // a vote.
  __device__ __forceinline__ void take_weights(const Weighed& weighed, typename TileProducts<Element, kHeadDim>::Scores& s,
                                               typename TileProducts<Element, kHeadDim>::Weights& p) {
    pack_weights<Element>(s, p);
    if (weighed.rescale) products_.rescale_output(weighed.alpha.of);
  }

  // If they are: after a second look at the scores.
  __device__ __forceinline__ void take_better_weights(const Weighed& weighed, typename TileProducts<Element, kHeadDim>::Scores& s,
                                                      typename TileProducts<Element, kHeadDim>::Weights& p, std::uint32_t keys,
                                                      const RowReach& reach, int row) {
    float alpha[2];
    products_.score_again(s, keys);
    softmax_.weigh_again(s, known_here(reach), ptx::known_here(row), weighed.before, alpha);
    products_.rescale_output(alpha);
    pack_weights<Element>(s, p);
  }

  // Leaves the last product with values in flight; returns the stage that it reads.
  __device__ __forceinline__ int attend(const Segment& segment, int slot, int tile, int tile_number);

  using Config = ForwardConfig<kHeadDim>;

  const ForwardArguments& arguments_;
  const SharedMemory<kHeadDim>& shared_;
  const int warpgroup_, lane_, warp_;
  int stored_ = -1;                             // the buffer through which the last tile leaves
  Ring ring_;
  int stages_done_ = 0;                         // of the segment
  StageSoftmax<Element, Config::kStagePairs> softmax_;
  TileProducts<Element, kHeadDim> products_;
};

// Per stage: Q K^T of this stage and P V of the one before are in flight together; the softmax overlaps the latter.
template <class Element, int kHeadDim>
__device__ __forceinline__ int GridQueries<Element, kHeadDim>::attend(const Segment& segment, int slot, int tile, int tile_number) {
  constexpr int kRows = Config::kStageRows;
  const int radius = ptx::uniform(group(segment).y.radius), panels = ptx::uniform(segment.panels);
  const int band_begin = ptx::uniform(segment.band_begin), band = first_band(tile, radius, kRows);
  pass_until((band - band_begin) * panels);
  float globals[8];
  typename TileProducts<Element, kHeadDim>::Scores s;
  typename TileProducts<Element, kHeadDim>::Weights p;
  softmax_.begin_tile();
  take_query(tile_number);
  if (!Config::kStoresLinger) release_stored();

  const int blocks = arguments_.global_rows / kGlobalBlock;
  add_further_globals(globals, slot, blocks);
  ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
  int stage = ring_.stage;
  std::uint32_t keys = descriptor(shared_.stage(stage));
  products_begin();
  products_.score_globals(globals, slot, 0);
  products_.score_stage(s, keys);
  const int rows = ptx::uniform(segment.rows), end = (end_band(tile, radius, rows, kRows) - band_begin) * panels;
  const RowReach reach(tile * kTile + warp_, radius, rows);
  int row = band_row(band, radius, kRows), panel = 0;                  // row: the stage's first of the grid
  products_wait<1>();
  products_settle(globals);
  add_globals(globals, slot, 0, blocks > 1);
  products_wait<1>();
  products_settle(s);
  softmax_.begin_stages();
  Weighed weighed = softmax_.weigh_stage(s, reach, row);
  products_wait<0>();
  take_weights(weighed, s, p);
  if (Config::kStoresLinger) release_stored();
  ring_.advance(arguments_.stages);
  ++stages_done_;
  // What is rarely done is done outside the loop over stages, whose instructions lie together then.
#pragma unroll 1
  for (;;) {
    if (weighed.too_large) take_better_weights(weighed, s, p, keys, reach, row);
    weighed.too_large = false;
#pragma unroll 1
    for (; stages_done_ < end && !weighed.too_large; ++stages_done_) {
      const std::uint32_t next = descriptor(shared_.stage(ring_.stage));
      ptx::barrier_wait(shared_.full(ring_.stage), ring_.parity);
      products_begin();
      products_.score_stage(s, next);
      products_.add_stage_values(p, keys);
      if (++panel == panels) {
        panel = 0;
        row += kRows;
      }
      if (panels > 1) softmax_.select_panel(segment, group(segment).x.radius, panel);
      products_wait<1>();
      products_settle(s);
      weighed = softmax_.weigh_stage(s, reach, row);
      products_wait<0>();
      release(stage);
      stage = ring_.stage;
      keys = next;
      ring_.advance(arguments_.stages);
      take_weights(weighed, s, p);
    }
    if (!weighed.too_large) break;
  }
  products_begin();
  products_.add_stage_values(p, keys);
  return stage;
}

}  // namespace fovea::kernels::sm90
