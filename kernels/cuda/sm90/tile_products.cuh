// The matrix products of a tile of grid queries: scores of stages and of global keys, and the weighted values that add up to its output.
// Scores and weighted values are committed as a group each; the caller waits.
#pragma once

#include "kernels/cuda/sm90/shared_memory.cuh"
#include "kernels/cuda/sm90/stage_softmax.cuh"
#include "kernels/cuda/sm90/warp_mma.cuh"
#include "kernels/cuda/sm90/weights.cuh"
#include "kernels/cuda/sm90/wgmma.cuh"

namespace fovea::kernels::sm90 {

template <class Element, int kHeadDim>
class TileProducts {
 public:
  using Config = ForwardConfig<kHeadDim>;
  static constexpr int kHalves = Config::kHalves, kPairs = Config::kStagePairs;
  static constexpr int kSteps = kPairs * kPairKeys / 16;       // of 16 keys
  using Scores = typename StageSoftmax<Element, kPairs>::Scores;
  using Weights = std::uint32_t[kSteps][4];

  __device__ __forceinline__ explicit TileProducts(const SharedMemory<kHeadDim>& shared) : shared_(shared) {}

  __device__ __forceinline__ void use_query(int buffer) { query_ = descriptor(shared_.query(buffer)); }

  __device__ __forceinline__ void score_globals(float (&s)[8], int slot, int block) const {
    score(s, descriptor(shared_.global_keys(slot)) + block * 128, shared_.global_half_bytes >> 4);
  }

  // keys: descriptor of the stage.
  __device__ __forceinline__ void score_stage(Scores& s, std::uint32_t keys) const {
    score(s, keys, descriptor_distance(Config::kOperandHalfBytes));
  }

  // accumulate: 0 overwrites the output.
  __device__ __forceinline__ void add_global_values(const std::uint32_t (&p)[1][4], int slot, int block, int accumulate) {
    const std::uint32_t values = descriptor(shared_.global_values(slot)) + block * 128;
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
      values_product<Element, kDenseRows>(output_[half], p[0], values + half * (shared_.global_half_bytes >> 4), accumulate);
    products_commit();
  }

  __device__ __forceinline__ void add_stage_values(const Weights& p, std::uint32_t keys) {
    const std::uint32_t values = keys + descriptor_distance(Config::kOperandBytes);
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
#pragma unroll
      for (int k = 0; k < kSteps; ++k)
        values_product<Element, kDenseRows>(output_[half], p[k],
                                            values + half * descriptor_distance(Config::kOperandHalfBytes) + k * 128, 1);
    products_commit();
  }

  // The stage's scores once more, by each warp on its own and with nothing in flight.
  __device__ __forceinline__ void score_again(Scores& s, std::uint32_t keys) const;

  __device__ __forceinline__ void rescale_output(const float (&alpha)[2]) { rescale(output_, alpha); }

  __device__ __forceinline__ void settle_output() {
#pragma unroll
    for (int half = 0; half < kHalves; ++half) products_settle(output_[half]);
  }
  __device__ __forceinline__ const float (&output() const)[kHalves][32] { return output_; }

 private:
  // Queries come from shared memory: read in place they cost no registers, and a product of 96 keys is no slower for it.
  template <int kCount>
  __device__ __forceinline__ void score(float (&s)[kCount], std::uint32_t keys, std::uint32_t half_distance) const {
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      const std::uint32_t a = query_ + half * descriptor_distance(Config::kQueryHalfBytes), b = keys + half * half_distance;
      if (half == 0) scores_product<Element, kDenseRows, 0>(s, a, b); else scores_product<Element, kDenseRows, 1>(s, a, b);
#pragma unroll
      for (int k = 1; k < 4; ++k) scores_product<Element, kDenseRows, 1>(s, a + 2 * k, b + 2 * k);
    }
    products_commit();
  }

  const SharedMemory<kHeadDim>& shared_;
  std::uint32_t query_ = 0;                     // descriptor of the tile's queries
  float output_[kHalves][32];
};

// A warp's accumulators of wgmma are those of mma.sync: rows 16 w + lane / 4 and 8 further down, of each block of 8 keys two.
template <class Element, int kHeadDim>
__device__ __forceinline__ void TileProducts<Element, kHeadDim>::score_again(Scores& s, std::uint32_t keys) const {
  const int thread = ptx::known_here(threadIdx.x), lane = thread % 32, warp = thread / 32 % 4;
#pragma unroll
  for (float& x : s) ptx::zero_here(x);
#pragma unroll 1
  for (int step = 0; step < 4 * kHalves; ++step) {
    const std::uint32_t rows = described(query_) + step / 4 * Config::kQueryHalfBytes + warp * (kQueryRows / 4) * kSwizzleBytes;
    const std::uint32_t half = described(keys) + step / 4 * Config::kOperandHalfBytes;
    const int chunk = step % 4 * 2;
    std::uint32_t q[4];
    load_matrices<false>(q, swizzled(rows, lane % 16, chunk + lane / 16));
#pragma unroll
    for (int block = 0; block < 2 * kSteps; block += 2) {
      std::uint32_t k[4];                       // of two blocks, 16 columns each
      load_matrices<false>(k, swizzled(half, block * 8 + lane / 16 * 8 + lane % 8, chunk + lane / 8 % 2));
      warp_product<Element>(s + block * 4, q, k[0], k[1]);
      warp_product<Element>(s + block * 4 + 4, q, k[2], k[3]);
    }
  }
  __syncwarp();
}

}  // namespace fovea::kernels::sm90
