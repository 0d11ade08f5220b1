// Gradient of the grid's queries, and what they give the global keys and values. A tile of queries stays, keys and values stream past:
//   S = Q K^T, P = exp2(S - lse), dP = dO V^T, dS = P (dP - delta), dQ += dS K
// and, where the globals' gradients ride, with the global tokens' keys and values besides dK_g += dS^T Q, dV_g += P^T dO.
#pragma once

#include "kernels/cuda/sm90/delta.cuh"
#include "kernels/cuda/sm90/global_gradients.cuh"
#include "kernels/cuda/sm90/gradient_walk.cuh"
#include "kernels/cuda/sm90/warp_mma.cuh"
#include "kernels/cuda/sm90/weights.cuh"

namespace fovea::kernels::sm90 {

template <class Element_, int kHeadDim_, bool kRides>
class QueryGradients {
 public:
  using Element = Element_;
  static constexpr Pass kPass = Pass::kQuery;
  static constexpr int kHeadDim = kHeadDim_;
  using Config = BackwardConfig<kPass, kHeadDim>;
  static constexpr int kHalves = Config::kHalves;

  __device__ __forceinline__ QueryGradients(const BackwardArguments& arguments, const BackwardShared<kPass, kHeadDim>& shared,
                                            int warpgroup)
      : walk_(arguments, shared, warpgroup), arguments_(arguments), shared_(shared) {
    sums_.reset();
  }

  __device__ __forceinline__ void run() {
    walk_.run(*this);
    if (kRides && threadIdx.x == 0)
      for (; turns_ < arguments_.slots_per_cta; ++turns_) {
        arguments_.partials.directory[blockIdx.x * arguments_.slots_per_cta + turns_] = -1;
      }
  }

  __device__ __forceinline__ void process(const Segment& segment, int slot, int tile, int tile_number);

  __device__ __forceinline__ void leave_head(const Segment& segment) {
    if (!kRides || arguments_.global_tokens == 0) return;
    const int slot = blockIdx.x * arguments_.slots_per_cta + turns_;
    sums_.store(arguments_.partials, slot, 1, arguments_.global_tokens, walk_.warpgroup_, turns_);
    if (threadIdx.x == 0) arguments_.partials.directory[slot] = segment.batch * arguments_.schedule.heads + segment.head;
    sums_.reset();
    ++turns_;
  }

 private:
  static constexpr std::uint32_t kSecondOfTile = descriptor_distance(Config::kTileOperandBytes);
  static constexpr std::uint32_t kSecondOfStage = descriptor_distance(Config::kOperandBytes);
  static constexpr std::uint32_t kStageHalf = descriptor_distance(Config::kOperandHalfBytes);

  // delta_ holds what is subtracted. The quad of a row shares its 8 pieces of 16 bytes: two neighbours a lane, so that no two lanes meet in a
  // bank.
  __device__ __forceinline__ void make_delta(const Segment& segment, int tile, std::uint32_t tile_at) {
    const std::uint32_t grads = tile_at + Config::kTileOperandBytes, outputs = grads + Config::kTileOperandBytes;
    const std::int64_t plane = static_cast<std::int64_t>(segment.batch) * arguments_.schedule.heads + segment.head;
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      const int at = walk_.warp_ * 16 + row * 8 + walk_.lane_ / 4;
      float sum = 0.0f;
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int piece = walk_.lane_ % 4 * 2 + i;
        sum += dot_16_bytes<Element>(load_shared_16_bytes(swizzled(grads, at, piece)), load_shared_16_bytes(swizzled(outputs, at, piece)));
      }
      sum += __shfl_xor_sync(~0u, sum, 1);
      sum += __shfl_xor_sync(~0u, sum, 2);
      delta_[row] = sum - delta_[row];
      const std::int64_t token = walk_.token(segment, tile, row);
      if (token >= 0 && walk_.lane_ % 4 == 0) arguments_.delta[plane * arguments_.tokens + arguments_.global_tokens + token] = delta_[row];
    }
  }

  // The tile's gradient, with a block of 16 global keys; the first one overwrites it.
  __device__ __forceinline__ void meet_globals(int slot, int block, std::uint32_t tile) {
    const std::uint32_t keys = descriptor(shared_.globals(slot, 0)) + block * 128;
    const std::uint32_t values = descriptor(shared_.globals(slot, 1)) + block * 128, half = shared_.global_half_bytes >> 4;
    float s[8], grad[8];
    std::uint32_t p[1][4], ds[1][4];
    products_begin();
    multiply_tile<Element, kHalves>(s, tile, keys, half);
    multiply_tile<Element, kHalves>(grad, tile + kSecondOfTile, values, half);
    products_commit();
    products_wait<0>();
    products_settle(s);
    products_settle(grad);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int row = i / 2 % 2;
      const bool exists = block * kGlobalBlock + i / 4 * 8 + walk_.lane_ % 4 * 2 + i % 2 < arguments_.global_tokens;
      s[i] = exists ? ptx::exp2_approximate(fmaf(s[i], arguments_.scale_log2, minus_lse_[row])) : 0.0f;
      grad[i] = s[i] * (grad[i] - delta_[row]);
    }
    pack_weights<Element, 1>(grad, ds);
    if constexpr (kRides) {
      const std::uint32_t weights = shared_.exchange(walk_.warpgroup_, 0), grads = shared_.exchange(walk_.warpgroup_, 1);
      const int barrier = kWarpgroupBarrier + walk_.warpgroup_;
      pack_weights<Element, 1>(s, p);
      named_barrier_sync(barrier, 128);         // all warps are done with the products that read the last tile's
      store_transposed(p[0], weights);
      store_transposed(ds[0], grads);
      ptx::fence_async_proxy();
      named_barrier_sync(barrier, 128);
      products_begin();
      add_weighted<Element>(grad_query_, ds, keys, half, block > 0);
      add_transposed<Element>(sums_.sum[0], tile, descriptor(grads));
      add_transposed<Element>(sums_.sum[1], tile + kSecondOfTile, descriptor(weights));
      products_commit();
      products_wait<0>();
      products_settle(sums_.sum[0]);
      products_settle(sums_.sum[1]);
    } else {
      products_begin();
      add_weighted<Element>(grad_query_, ds, keys, half, block > 0);
      products_commit();
      products_wait<0>();
    }
    gradients_settle(grad_query_);
  }

  __device__ __forceinline__ void select_panel(const Segment& segment, int radius_x, int panel) {
    const std::uint32_t mask = column_mask(segment, radius_x, panel, walk_.lane_);
#pragma unroll
    for (int row = 0; row < 2; ++row)
#pragma unroll
      for (int i = 0; i < 6; ++i) bias_[row][i] = mask >> i & 1 ? minus_lse_[row] : ptx::minus_infinity();
  }

  // Scores to weights; false: no key of the stage concerns the warp.
  __device__ __forceinline__ bool weigh(float (&s)[24], const RowWindow& window, int offset) const {
    if (!window.whole(offset)) {
      if (!window.visible(offset)) return false;
      cut_rows(s, window, offset);
    }
#pragma unroll
    for (int i = 0; i < 24; ++i) {
      const int row = i / 2 % 2, column = i / 4 % 3 * 2 + i % 2;
      s[i] = ptx::exp2_approximate(fmaf(s[i], arguments_.scale_log2, bias_[row][column]));
    }
    return true;
  }

  // Gradients of weights to gradients of scores.
  __device__ __forceinline__ void weigh_gradients(const float (&p)[24], float (&grad)[24]) const {
#pragma unroll
    for (int i = 0; i < 24; ++i) grad[i] = p[i] * (grad[i] - delta_[i / 2 % 2]);
  }

  __device__ __forceinline__ static void take(bool any, const float (&grad)[24], std::uint32_t (&ds)[3][4]) {
    if (any) pack_weights<Element, 3>(grad, ds); else no_weights(ds);
  }

  GradientWalk<Element, kPass, kHeadDim> walk_;
  const BackwardArguments& arguments_;
  const BackwardShared<kPass, kHeadDim>& shared_;
  float minus_lse_[2], delta_[2];               // of the thread's rows; lse in units of log2
  float bias_[2][6];                            // minus_lse_, or minus infinity for a column out of the window
  float grad_query_[kHalves][32];
  GlobalSums<2> sums_;
  int turns_ = 0;                               // (batch, head)s left behind
};

// Per stage: S and dP of this one and dQ of the one before are in flight together, in this order; the exponentials overlap the latter two.
template <class Element, int kHeadDim, bool kRides>
__device__ __forceinline__ void QueryGradients<Element, kHeadDim, kRides>::process(const Segment& segment, int slot, int tile,
                                                                                   int tile_number) {
  const DilationGroup& group = walk_.group(segment);
  const int radius = ptx::uniform(group.y.radius), rows = ptx::uniform(segment.rows), panels = ptx::uniform(segment.panels);
  const int band_begin = ptx::uniform(segment.band_begin), band = first_band(tile, radius, kPairRows);
  walk_.pass_until((band - band_begin) * panels);
  const int end = (end_band(tile, radius, rows, kPairRows) - band_begin) * panels;
  const RowWindow window(tile * kTile + walk_.warp_ * 2, radius, rows);
  int offset = band_row(band, radius, kPairRows) - window.origin, panel = 0;
  float s[24], grad[24];
  std::uint32_t ds[3][4];

  const int buffer = ptx::uniform(walk_.take_tile(tile_number));
  const std::uint32_t tile_at = descriptor(shared_.tile(buffer));
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const std::uint32_t at = shared_.statistics(buffer) + (walk_.warp_ * 16 + row * 8 + walk_.lane_ / 4) * 4;
    const bool inside = tile * kTile + walk_.warp_ * 2 + row < segment.rows && segment.x0 + walk_.lane_ / 4 < segment.columns;
    minus_lse_[row] = inside ? load_shared(at) * -kLog2E : ptx::minus_infinity();
    delta_[row] = load_shared(at + kQueryRows * 4);
  }
  if constexpr (Config::kMakesDelta) make_delta(segment, tile, shared_.tile(buffer));
  select_panel(segment, group.x.radius, 0);
  const int blocks = kRides ? 1 : arguments_.global_rows / kGlobalBlock;
  if (arguments_.global_tokens == 0) {
    gradients_reset(grad_query_);
  } else {
#pragma unroll 1
    for (int block = 0; block < blocks; ++block) meet_globals(slot, block, tile_at);
  }

  auto& ring = walk_.ring_;
  int stage = ring.stage;
  std::uint32_t keys = descriptor(shared_.stage(stage));
  ptx::barrier_wait(shared_.full(stage), ring.parity);
  products_begin();
  multiply_tile<Element, kHalves>(s, tile_at, keys, kStageHalf);
  products_commit();
  multiply_tile<Element, kHalves>(grad, tile_at + kSecondOfTile, keys + kSecondOfStage, kStageHalf);
  products_commit();
  products_wait<1>();
  products_settle(s);
  bool any = weigh(s, window, offset);
  products_wait<0>();
  products_settle(grad);
  if (any) weigh_gradients(s, grad);
  take(any, grad, ds);
  ring.advance(arguments_.stages);
#pragma unroll 1
  for (++walk_.stages_done_; walk_.stages_done_ < end; ++walk_.stages_done_) {
    const std::uint32_t next = descriptor(shared_.stage(ring.stage));
    ptx::barrier_wait(shared_.full(ring.stage), ring.parity);
    products_begin();
    multiply_tile<Element, kHalves>(s, tile_at, next, kStageHalf);
    products_commit();
    multiply_tile<Element, kHalves>(grad, tile_at + kSecondOfTile, next + kSecondOfStage, kStageHalf);
    products_commit();
    add_weighted<Element>(grad_query_, ds, keys, kStageHalf);
    products_commit();
    if (++panel == panels) {
      panel = 0;
      offset += kPairRows;
    }
    if (panels > 1) select_panel(segment, group.x.radius, panel);
    products_wait<2>();
    products_settle(s);
    any = weigh(s, window, offset);
    products_wait<1>();
    products_settle(grad);
    if (any) weigh_gradients(s, grad);
    products_wait<0>();
    walk_.release(stage);
    stage = ring.stage;
    keys = next;
    ring.advance(arguments_.stages);
    take(any, grad, ds);
  }
  products_begin();
  add_weighted<Element>(grad_query_, ds, keys, kStageHalf);
  products_commit();
  products_wait<0>();
  gradients_settle(grad_query_);
  walk_.release(stage);
  walk_.stage_gradient(tile_number, Config::kTileOperands - 1, 0, segment, tile, grad_query_);
}

}  // namespace fovea::kernels::sm90
