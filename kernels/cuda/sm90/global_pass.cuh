// Gradients of the global tokens in a pass of their own, split over the grid: where they do not ride (head_dim 128, or more than 16 of
// them). A tile of up to 64 global tokens stays, the grid's tokens stream past in the order of memory; nothing is masked but the end.
//   kQuery: the tile is queries; gives grad_query.   kKey: the tile is keys; gives grad_key and grad_value.
#pragma once

#include "kernels/cuda/sm90/backward_sums.h"
#include "kernels/cuda/sm90/copies.cuh"
#include "kernels/cuda/sm90/gradient_products.cuh"
#include "kernels/cuda/sm90/gradient_walk.cuh"
#include "kernels/cuda/sm90/statistics.cuh"
#include "kernels/cuda/sm90/weights.cuh"

namespace fovea::kernels::sm90 {

constexpr int kPassStages = 3;
constexpr int kPassThreads = 160;               // a warpgroup and the producer's warp

template <Pass kPass, int kHeadDim>
struct GlobalPassConfig {
  static constexpr int kHalves = kHeadDim / kHalfColumns;
  static constexpr int kTileHalfBytes = kQueryRows * kSwizzleBytes;
  static constexpr int kTileBytes = 2 * kHalves * kTileHalfBytes;
  static constexpr int kOperandHalfBytes = kPairKeys * kSwizzleBytes;
  static constexpr int kStageBytes = 2 * kHalves * kOperandHalfBytes;
  static constexpr int kStatisticBytes = kPass == Pass::kKey ? 2 * kPairKeys * 4 : 0;       // of a stage's queries
  static constexpr int kStageOffset = kTileBytes;
  static constexpr int kStatisticOffset = kStageOffset + kPassStages * kStageBytes;
  static constexpr int kBarrierOffset = kStatisticOffset + kPassStages * kStatisticBytes;
  static constexpr int kSharedBytes = kBarrierOffset + 8 * (2 * kPassStages + 1);
};

// blockIdx: plane (batch * heads + head), split.
template <class Element, Pass kPass, int kHeadDim>
class GlobalPass {
 public:
  using Config = GlobalPassConfig<kPass, kHeadDim>;
  static constexpr int kHalves = Config::kHalves;

  __device__ __forceinline__ GlobalPass(const GlobalPassArguments& arguments, unsigned char* memory)
      : a_(arguments), base_(ptx::shared_address(memory)), lane_(threadIdx.x % 32), batch_(blockIdx.x / arguments.heads),
        head_(blockIdx.x % arguments.heads), begin_(blockIdx.y * arguments.stages_per_split) {
    const std::int64_t all = (a_.grid_tokens + kPairKeys - 1) / kPairKeys;
    end_ = static_cast<int>(min(all, std::int64_t{begin_} + a_.stages_per_split));
  }

  __device__ __forceinline__ void init_barriers() const {
    for (int i = 0; i < kPassStages; ++i) {
      ptx::barrier_init(full(i), 1 + (kPass == Pass::kKey ? 32 : 0));          // all lanes bring statistics, and read them
      ptx::barrier_init(empty(i), 128);
    }
    ptx::barrier_init(tile_full(), 1);
    ptx::barrier_init_fence();
  }

  // A warp: one lane loads tile and stages, all lanes statistics.
  __device__ __forceinline__ void produce() const {
    if (lane_ == 0) {
      ptx::barrier_arrive_expect(tile_full(), Config::kTileBytes);
      load_operands<Config::kTileHalfBytes>(base_, a_.tile, tile_full(), 0);
    }
    Ring ring;
#pragma unroll 1
    for (int i = begin_; i < end_; ++i) {
      ptx::barrier_wait(empty(ring.stage), ring.parity ^ 1);
      if (lane_ == 0) {
        ptx::barrier_arrive_expect(full(ring.stage), Config::kStageBytes);
        load_operands<Config::kOperandHalfBytes>(stage(ring.stage), a_.stream, full(ring.stage), i * kPairKeys);
      }
      if constexpr (kPass == Pass::kKey) load_statistics(ring.stage, i);
      ring.advance(kPassStages);
    }
  }

  __device__ __forceinline__ void consume() {
    gradients_reset(first_);
    if constexpr (kPass == Pass::kKey) gradients_reset(second_);
    const int row_base = threadIdx.x / 32 * 16 + lane_ / 4;
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      const int token = row_base + row * 8;
      const bool known = kPass == Pass::kQuery && token < a_.global_tokens;
      minus_lse_[row] = known ? a_.lse[plane_row() + token] * -kLog2E : ptx::minus_infinity();
      delta_[row] = known ? a_.delta[plane_row() + token] : 0.0f;
    }
    const bool has_tokens = ptx::uniform(threadIdx.x / 32 * 16) < a_.global_tokens;
    Ring ring;
    ptx::barrier_wait(tile_full(), 0);
#pragma unroll 1
    for (int i = begin_; i < end_; ++i) {
      ptx::barrier_wait(full(ring.stage), ring.parity);
      meet_stage(ring.stage, static_cast<int>(min(a_.grid_tokens - std::int64_t{i} * kPairKeys, std::int64_t{kPairKeys})), has_tokens);
      ptx::barrier_arrive(empty(ring.stage));
      ring.advance(kPassStages);
    }
    if constexpr (kPass == Pass::kQuery) {
      store(0, first_);
    } else {
      store(1, first_);
      store(2, second_);
    }
    if (kPass == Pass::kQuery && threadIdx.x == 0) a_.partials.directory[slot()] = blockIdx.x;
  }

 private:
  static constexpr std::uint32_t kSecondOfTile = descriptor_distance(kHalves * Config::kTileHalfBytes);
  static constexpr std::uint32_t kSecondOfStage = descriptor_distance(kHalves * Config::kOperandHalfBytes);
  static constexpr std::uint32_t kStageHalf = descriptor_distance(Config::kOperandHalfBytes);

  __device__ __forceinline__ std::uint32_t full(int i) const { return base_ + Config::kBarrierOffset + 8 * i; }
  __device__ __forceinline__ std::uint32_t empty(int i) const { return full(kPassStages + i); }
  __device__ __forceinline__ std::uint32_t tile_full() const { return full(2 * kPassStages); }
  __device__ __forceinline__ std::uint32_t stage(int i) const { return base_ + Config::kStageOffset + i * Config::kStageBytes; }
  __device__ __forceinline__ std::uint32_t statistics(int i) const {
    return base_ + Config::kStatisticOffset + i * Config::kStatisticBytes;
  }
  __device__ __forceinline__ std::int64_t plane_row() const { return static_cast<std::int64_t>(blockIdx.x) * a_.tokens; }
  __device__ __forceinline__ int slot() const { return blockIdx.x * a_.splits + blockIdx.y; }

  // Two operands, each half by half.
  template <int kHalfBytes>
  __device__ __forceinline__ void load_operands(std::uint32_t to, const CUtensorMap (&maps)[2], std::uint32_t barrier, int token) const {
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int half = 0; half < kHalves; ++half)
        load_box(to + (i * kHalves + half) * kHalfBytes, maps[i], barrier, TokenCoordinates{half * kHalfColumns, head_, token, batch_});
  }

  __device__ __forceinline__ void load_statistics(int stage, int index) const {
    for (int row = lane_; row < kPairKeys; row += 32) {
      const std::int64_t token = std::int64_t{index} * kPairKeys + row;
      const bool inside = token < a_.grid_tokens;
      const std::int64_t at = inside ? plane_row() + a_.global_tokens + token : 0;
      copy_float(statistics(stage) + row * 4, a_.lse + at, inside);
      copy_float(statistics(stage) + (kPairKeys + row) * 4, a_.delta + at, inside);
    }
    copies_arrive(full(stage));
  }

  __device__ __forceinline__ void meet_stage(int stage_index, int tokens, bool has_tokens) {
    const std::uint32_t tile = descriptor(base_), at = descriptor(stage(stage_index));
    float s[24], grad[24];
    std::uint32_t p[3][4], ds[3][4];
    products_begin();
    multiply_tile<Element, kHalves>(s, tile, at, kStageHalf);
    multiply_tile<Element, kHalves>(grad, tile + kSecondOfTile, at + kSecondOfStage, kStageHalf);
    products_commit();
    products_wait<0>();
    products_settle(s);
    products_settle(grad);
    if (has_tokens) {
      weigh(s, grad, statistics(stage_index), tokens);
      pack_weights<Element, 3>(s, p);
      pack_weights<Element, 3>(grad, ds);
    } else {
      no_weights(p);
      no_weights(ds);
    }
    products_begin();
    add_weighted<Element>(first_, ds, at, kStageHalf);
    if constexpr (kPass == Pass::kKey) add_weighted<Element>(second_, p, at + kSecondOfStage, kStageHalf);
    products_commit();
    products_wait<0>();
    gradients_settle(first_);
    if constexpr (kPass == Pass::kKey) gradients_settle(second_);
  }

  // Scores to weights, gradients of weights to gradients of scores. Tokens past the end have zeros for operands; what counts is that
  // their weights are finite.
  __device__ __forceinline__ void weigh(float (&s)[24], float (&grad)[24], std::uint32_t statistics, int tokens) const {
#pragma unroll
    for (int block = 0; block < 6; ++block) {
      float2 lse{}, delta{};
      if constexpr (kPass == Pass::kKey) {
        lse = load_shared_pair(statistics + block * 32 + lane_ % 4 * 8);
        delta = load_shared_pair(statistics + kPairKeys * 4 + block * 32 + lane_ % 4 * 8);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float& x = s[block * 4 + i];
        if (kPass == Pass::kQuery && block * 8 + lane_ % 4 * 2 + i % 2 >= tokens) x = ptx::minus_infinity();
        const float shift = kPass == Pass::kQuery ? minus_lse_[i / 2] : (i % 2 ? lse.y : lse.x) * -kLog2E;
        x = ptx::exp2_approximate(fmaf(x, a_.scale_log2, shift));
        grad[block * 4 + i] = x * (grad[block * 4 + i] - (kPass == Pass::kQuery ? delta_[i / 2] : i % 2 ? delta.y : delta.x));
      }
    }
  }

  __device__ __forceinline__ void store(int which, const float (&gradient)[kHalves][32]) const {
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      const int token = threadIdx.x / 32 * 16 + row * 8 + lane_ / 4;
      if (token >= a_.global_tokens) continue;
      float* to = a_.partials.row(slot(), token, a_.global_tokens) + which * a_.partials.columns + lane_ % 4 * 2;
#pragma unroll
      for (int half = 0; half < kHalves; ++half)
#pragma unroll
        for (int j = 0; j < 8; ++j)
          *reinterpret_cast<float2*>(to + half * kHalfColumns + j * 8) =
              make_float2(gradient[half][j * 4 + row * 2], gradient[half][j * 4 + row * 2 + 1]);
    }
  }

  const GlobalPassArguments& a_;
  const std::uint32_t base_;
  const int lane_, batch_, head_, begin_;
  int end_;
  float minus_lse_[2], delta_[2];               // kQuery: of the thread's rows
  float first_[kHalves][32], second_[kHalves][32];             // grad_query, or grad_key and grad_value
};

template <class Element, Pass kPass, int kHeadDim>
__global__ __launch_bounds__(kPassThreads) void global_pass_kernel(const __grid_constant__ GlobalPassArguments arguments) {
  extern __shared__ __align__(1024) unsigned char memory[];
  GlobalPass<Element, kPass, kHeadDim> pass(arguments, memory);
  if (threadIdx.x == 0) pass.init_barriers();
  __syncthreads();
  if (threadIdx.x >= 128) pass.produce(); else pass.consume();
}

}  // namespace fovea::kernels::sm90
