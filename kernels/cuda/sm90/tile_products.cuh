// The matrix products of a tile of grid queries: scores of stages and of global keys, and the weighted values that add up to its output.
// Scores and weighted values are committed as a group each; the caller waits.
#pragma once

#include "kernels/cuda/sm90/query_operand.cuh"
#include "kernels/cuda/sm90/shared_memory.cuh"
#include "kernels/cuda/sm90/stage_softmax.cuh"
#include "kernels/cuda/sm90/weights.cuh"

namespace fovea::kernels::sm90 {

template <class Element, int kHeadDim>
class TileProducts {
 public:
  using Config = ForwardConfig<kHeadDim>;
  static constexpr int kHalves = Config::kHalves;
  static constexpr bool kQueryInRegisters = QueryOperand<Element, kHalves>::kInRegisters;

  __device__ __forceinline__ explicit TileProducts(const SharedMemory<kHeadDim>& shared) : shared_(shared) {}

  __device__ __forceinline__ void load_query(int buffer) { query_.load(shared_.query(buffer)); }

  __device__ __forceinline__ void score_globals(float (&s)[8], int slot, int block) const {
    query_.template score<kDenseRows>(s, descriptor(shared_.global_keys(slot)) + block * 128, shared_.global_half_bytes >> 4);
    products_commit();
  }

  // keys: descriptor of the stage.
  __device__ __forceinline__ void score_stage(float (&s)[24], std::uint32_t keys) const {
    query_.template score<kDenseRows>(s, keys, descriptor_distance(Config::kOperandHalfBytes));
    products_commit();
  }

  // accumulate: 0 overwrites the output.
  __device__ __forceinline__ void add_global_values(const std::uint32_t (&p)[1][4], int slot, int block, int accumulate) {
    const std::uint32_t values = descriptor(shared_.global_values(slot)) + block * 128;
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
      values_product<Element, kDenseRows>(output_[half], p[0], values + half * (shared_.global_half_bytes >> 4), accumulate);
    products_commit();
  }

  __device__ __forceinline__ void add_stage_values(const std::uint32_t (&p)[3][4], std::uint32_t keys) {
    const std::uint32_t values = keys + descriptor_distance(Config::kOperandBytes);
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
#pragma unroll
      for (int k = 0; k < 3; ++k)
        values_product<Element, kDenseRows>(output_[half], p[k],
                                            values + half * descriptor_distance(Config::kOperandHalfBytes) + k * 128, 1);
    products_commit();
  }

  // A stage's weights as operands of its values, once the products that read the last ones have completed.
  __device__ __forceinline__ void take_weights(Weighed weighed, const float (&s)[24], const float (&alpha)[2], std::uint32_t (&p)[3][4]) {
    if (weighed == Weighed::kNothing) {
      no_weights(p);
      return;
    }
    pack_weights<Element, 3>(s, p);
    if (weighed == Weighed::kRescale) rescale(output_, alpha);
  }

  __device__ __forceinline__ void rescale_output(const float (&alpha)[2]) { rescale(output_, alpha); }

  __device__ __forceinline__ void settle_output() {
#pragma unroll
    for (int half = 0; half < kHalves; ++half) products_settle(output_[half]);
  }
  __device__ __forceinline__ const float (&output() const)[kHalves][32] { return output_; }

 private:
  const SharedMemory<kHeadDim>& shared_;
  QueryOperand<Element, kHalves> query_;
  float output_[kHalves][32];
};

}  // namespace fovea::kernels::sm90
