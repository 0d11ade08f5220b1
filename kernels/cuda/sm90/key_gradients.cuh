// Gradients of the grid's keys and values, and what they give the global queries. A tile of keys and values stays, queries, output
// gradients and their statistics stream past; accumulator rows are keys, columns queries:
//   S = K Q^T, P = exp2(S - lse), dP = V dO^T, dS = P (dP - delta), dV += P dO, dK += dS Q
// and, where the globals' gradients ride, with the global tokens' queries besides dQ_g += dS^T K.
#pragma once

#include "kernels/cuda/sm90/global_gradients.cuh"
#include "kernels/cuda/sm90/gradient_walk.cuh"
#include "kernels/cuda/sm90/weights.cuh"

namespace fovea::kernels::sm90 {

template <class Element_, int kHeadDim_, bool kRides>
class KeyGradients {
 public:
  using Element = Element_;
  static constexpr Pass kPass = Pass::kKey;
  static constexpr int kHeadDim = kHeadDim_;
  using Config = BackwardConfig<kPass, kHeadDim>;
  static constexpr int kHalves = Config::kHalves;

  __device__ __forceinline__ KeyGradients(const BackwardArguments& arguments, const BackwardShared<kPass, kHeadDim>& shared, int warpgroup)
      : walk_(arguments, shared, warpgroup), arguments_(arguments), shared_(shared) {
    sums_.reset();
  }

  __device__ __forceinline__ void run() { walk_.run(*this); }

  __device__ __forceinline__ void process(const Segment& segment, int slot, int tile, int tile_number);

  __device__ __forceinline__ void leave_head(const Segment&) {
    if (!kRides || arguments_.global_tokens == 0) return;
    sums_.store(arguments_.partials, blockIdx.x * arguments_.slots_per_cta + turns_, 0, arguments_.global_tokens, walk_.warpgroup_, turns_);
    sums_.reset();
    ++turns_;
  }

 private:
  static constexpr std::uint32_t kSecondOfTile = descriptor_distance(Config::kTileOperandBytes);
  static constexpr std::uint32_t kSecondOfStage = descriptor_distance(Config::kOperandBytes);
  static constexpr std::uint32_t kStageHalf = descriptor_distance(Config::kOperandHalfBytes);

  // The tile's gradients, with a block of 16 global queries; the first one overwrites them.
  __device__ __forceinline__ void meet_globals(const Segment& segment, int slot, int block, int tile, std::uint32_t tile_at) {
    const std::uint32_t queries = descriptor(shared_.globals(slot, 0)) + block * 128;
    const std::uint32_t grads_at = descriptor(shared_.globals(slot, 1)) + block * 128, half = shared_.global_half_bytes >> 4;
    const std::int64_t plane = static_cast<std::int64_t>(segment.batch) * arguments_.schedule.heads + segment.head;
    const float* lse = arguments_.lse + plane * arguments_.tokens;
    const float* delta = arguments_.delta + plane * arguments_.tokens;
    float s[8], grad[8], minus_lse[4], deltas[4];
    std::uint32_t p[1][4], ds[1][4];
    products_begin();
    multiply_tile<Element, kHalves>(s, tile_at, queries, half);
    multiply_tile<Element, kHalves>(grad, tile_at + kSecondOfTile, grads_at, half);
    products_commit();
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int query = block * kGlobalBlock + i / 2 * 8 + walk_.lane_ % 4 * 2 + i % 2;
      const bool exists = query < arguments_.global_tokens;
      minus_lse[i] = exists ? lse[query] * -kLog2E : ptx::minus_infinity();
      deltas[i] = exists ? delta[query] : 0.0f;
    }
    products_wait<0>();
    products_settle(s);
    products_settle(grad);
    const bool inside[2] = {walk_.token(segment, tile, 0) >= 0, walk_.token(segment, tile, 1) >= 0};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int column = i / 4 * 2 + i % 2;
      s[i] = inside[i / 2 % 2] ? ptx::exp2_approximate(fmaf(s[i], arguments_.scale_log2, minus_lse[column])) : 0.0f;
      grad[i] = s[i] * (grad[i] - deltas[column]);
    }
    pack_weights<Element, 1>(s, p);
    pack_weights<Element, 1>(grad, ds);
    if constexpr (kRides) {
      const std::uint32_t exchange = shared_.exchange(walk_.warpgroup_, 0);
      const int barrier = kWarpgroupBarrier + walk_.warpgroup_;
      named_barrier_sync(barrier, 128);         // all warps are done with the product that read the last tile's
      store_transposed(ds[0], exchange);
      ptx::fence_async_proxy();
      named_barrier_sync(barrier, 128);
      products_begin();
      add_weighted<Element>(grad_value_, p, grads_at, half, block > 0);
      add_weighted<Element>(grad_key_, ds, queries, half, block > 0);
      add_transposed<Element>(sums_.sum[0], tile_at, descriptor(exchange));
      products_commit();
      products_wait<0>();
      products_settle(sums_.sum[0]);
    } else {
      products_begin();
      add_weighted<Element>(grad_value_, p, grads_at, half, block > 0);
      add_weighted<Element>(grad_key_, ds, queries, half, block > 0);
      products_commit();
      products_wait<0>();
    }
    gradients_settle(grad_value_);
    gradients_settle(grad_key_);
  }

  __device__ __forceinline__ void select_panel(const Segment& segment, int radius_x, int panel) {
    const std::uint32_t mask = column_mask(segment, radius_x, panel, walk_.lane_);
#pragma unroll
    for (int i = 0; i < 6; ++i) bias_[i] = mask >> i & 1 ? 0.0f : ptx::minus_infinity();
  }

  // Starts S.
  __device__ __forceinline__ static void begin_scores(float (&s)[24], std::uint32_t tile, std::uint32_t stage) {
    products_begin();
    multiply_tile<Element, kHalves>(s, tile, stage, kStageHalf);
    products_commit();
  }
  // Starts dP.
  __device__ __forceinline__ static void begin_grads(float (&grad)[24], std::uint32_t tile, std::uint32_t stage) {
    products_begin();
    multiply_tile<Element, kHalves>(grad, tile + kSecondOfTile, stage + kSecondOfStage, kStageHalf);
    products_commit();
  }

  // Scores to weights; false: no query of the stage concerns the warp.
  __device__ __forceinline__ bool weigh(float (&s)[24], const RowWindow& window, int offset, std::uint32_t statistics) const {
    if (!window.whole(offset)) {
      if (!window.visible(offset)) return false;
      cut_rows(s, window, offset);
    }
#pragma unroll
    for (int block = 0; block < 6; ++block) {
      const float2 lse = load_shared_pair(statistics + block * 32 + walk_.lane_ % 4 * 8);
      const float minus_lse[2] = {fmaf(lse.x, -kLog2E, bias_[block % 3 * 2]), fmaf(lse.y, -kLog2E, bias_[block % 3 * 2 + 1])};
#pragma unroll
      for (int i = 0; i < 4; ++i)
        s[block * 4 + i] = ptx::exp2_approximate(fmaf(s[block * 4 + i], arguments_.scale_log2, minus_lse[i % 2]));
    }
    return true;
  }

  // Gradients of weights to gradients of scores.
  __device__ __forceinline__ void weigh_gradients(const float (&p)[24], float (&grad)[24], std::uint32_t statistics) const {
#pragma unroll
    for (int block = 0; block < 6; ++block) {
      const float2 delta = load_shared_pair(statistics + kPairKeys * 4 + block * 32 + walk_.lane_ % 4 * 8);
#pragma unroll
      for (int i = 0; i < 4; ++i) grad[block * 4 + i] = p[block * 4 + i] * (grad[block * 4 + i] - (i % 2 ? delta.y : delta.x));
    }
  }

  GradientWalk<Element, kPass, kHeadDim> walk_;
  const BackwardArguments& arguments_;
  const BackwardShared<kPass, kHeadDim>& shared_;
  float bias_[6];                               // minus infinity for a column out of the window
  float grad_key_[kHalves][32], grad_value_[kHalves][32];
  GlobalSums<1> sums_;
  int turns_ = 0;                               // (batch, head)s left behind
};

// Per stage: dV while dS is computed, then dK together with the next stage's S, then dP under its exponentials.
template <class Element, int kHeadDim, bool kRides>
__device__ __forceinline__ void KeyGradients<Element, kHeadDim, kRides>::process(const Segment& segment, int slot, int tile,
                                                                                 int tile_number) {
  const DilationGroup& group = walk_.group(segment);
  const int radius = ptx::uniform(group.y.radius), rows = ptx::uniform(segment.rows), panels = ptx::uniform(segment.panels);
  const int band_begin = ptx::uniform(segment.band_begin), band = first_band(tile, radius, kPairRows);
  walk_.pass_until((band - band_begin) * panels);
  const int end = (end_band(tile, radius, rows, kPairRows) - band_begin) * panels;
  const RowWindow window(tile * kTile + walk_.warp_ * 2, radius, rows);
  int offset = band_row(band, radius, kPairRows) - window.origin, panel = 0;
  float s[24], grad[24];
  std::uint32_t p[3][4], ds[3][4];

  const std::uint32_t tile_at = descriptor(shared_.tile(ptx::uniform(walk_.take_tile(tile_number))));
  select_panel(segment, group.x.radius, 0);
  const int blocks = kRides ? 1 : arguments_.global_rows / kGlobalBlock;
  if (arguments_.global_tokens == 0) {
    gradients_reset(grad_key_);
    gradients_reset(grad_value_);
  } else {
#pragma unroll 1
    for (int block = 0; block < blocks; ++block) meet_globals(segment, slot, block, tile, tile_at);
  }

  auto& ring = walk_.ring_;
  int stage = ring.stage;
  std::uint32_t at = descriptor(shared_.stage(stage)), statistics = shared_.statistics(stage);
  ptx::barrier_wait(shared_.full(stage), ring.parity);
  begin_scores(s, tile_at, at);
  begin_grads(grad, tile_at, at);
  products_wait<1>();
  products_settle(s);
  bool any = weigh(s, window, offset, statistics);
#pragma unroll 1
  for (;;) {
    products_wait<0>();
    products_settle(s);                         // packing them waits too: registers
    products_settle(grad);
    if (any) pack_weights<Element, 3>(s, p); else no_weights(p);
    products_begin();
    add_weighted<Element>(grad_value_, p, at + kSecondOfStage, kStageHalf);
    products_commit();
    if (any) {
      weigh_gradients(s, grad, statistics);
      pack_weights<Element, 3>(grad, ds);
    } else {
      no_weights(ds);
    }
    products_begin();
    add_weighted<Element>(grad_key_, ds, at, kStageHalf);
    products_commit();
    ring.advance(arguments_.stages);
    if (++walk_.stages_done_ == end) break;
    const int last = stage;
    stage = ring.stage;
    at = descriptor(shared_.stage(stage)), statistics = shared_.statistics(stage);
    if (++panel == panels) {
      panel = 0;
      offset += kPairRows;
    }
    if (panels > 1) select_panel(segment, group.x.radius, panel);
    ptx::barrier_wait(shared_.full(stage), ring.parity);
    begin_scores(s, tile_at, at);
    products_wait<1>();
    walk_.release(last);
    begin_grads(grad, tile_at, at);
    products_wait<1>();
    products_settle(s);
    any = weigh(s, window, offset, statistics);
  }
  products_wait<0>();
  walk_.release(stage);
  gradients_settle(grad_key_);
  gradients_settle(grad_value_);
  walk_.stage_gradient(tile_number, 0, 0, segment, tile, grad_key_);
  walk_.stage_gradient(tile_number, 1, 1, segment, tile, grad_value_);
}

}  // namespace fovea::kernels::sm90
