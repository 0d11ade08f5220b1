// The matrix products of a tile of grid queries: scores of stages and of global keys, and the weighted values that add up to its output.
// Scores and weighted values are committed as a group each; the caller waits.
#pragma once

#include "kernels/cuda/sm90/shared_memory.cuh"
#include "kernels/cuda/sm90/stage_softmax.cuh"
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

  // A stage's weights as operands of its values, once the products that read the last ones have completed.
  __device__ __forceinline__ void take_weights(Weighed weighed, Scores& s, const float (&alpha)[2], Weights& p) {
    if (weighed.pairs == StageSoftmax<Element, kPairs>::kAllPairs) {
      pack_weights<Element, kSteps>(s, p);
    } else {
#pragma unroll
      for (int pair = 0; pair < kPairs; ++pair) {
        auto& of_pair = *reinterpret_cast<std::uint32_t (*)[kSteps / kPairs][4]>(p + pair * (kSteps / kPairs));
        if (weighed.pairs >> pair & 1) pack_weights<Element, kSteps / kPairs>(scores_of_pair(s, pair), of_pair); else no_weights(of_pair);
      }
    }
    if (weighed.rescale) rescale(output_, alpha);
  }

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

}  // namespace fovea::kernels::sm90
