// Backward, second pass: gradients of keys and values. They stay; queries, output gradients, lse and delta of the same halo stream past.
// Two passes compute scores twice, and need no atomics and no float32 copy of the gradient of the queries.
#pragma once

#include "kernels/cuda/sm80/pass.cuh"

namespace fovea::kernels::sm80 {

template <class ElementType, int kHeadDim, class TuningType>
class KeyGradientPass {
 public:
  using Element = ElementType;
  using Tuning = TuningType;
  static constexpr int kDim = kHeadDim, kSubtiles = Tuning::kSubtiles, kGroups = 2 * kSubtiles;
  using Riding = KeyGradientPass<Element, kDim, OneSubtile<Tuning>>;
  using Room = sm80::Room<Element, kDim, true>;
  static constexpr int kPartialFloats = 2 * kDim;                // of the key, of the value

  __device__ static const ConstView& streamed_first(const Arguments& arguments) { return arguments.query; }
  __device__ static const ConstView& streamed_second(const Arguments& arguments) { return arguments.grad_output; }
  __device__ static float* partials(const Arguments& arguments) { return arguments.key_partials; }
  __device__ static float nothing(int) { return 0.f; }             // partial results of no tokens

  __device__ KeyGradientPass(const Arguments& arguments, const Work& work, const Tile& tile)
      : key_(Plane<Element>(arguments.key, work), work, tile, sign_mask(arguments.scale)),
        value_(Plane<Element>(arguments.value, work), work, tile, 0u),
        scale_log2_(absolute_scale_log2(arguments.scale)) {
    clear(grad_key_);
    clear(grad_value_);
  }

  template <int kFrom, int kTo, class Mask>
  __device__ void meet(const Patch& patch, const Mask& mask) {
    float weight[kSubtiles][2][4], grad[kSubtiles][2][4];
    multiply_rows_twice<kFrom, kTo>(weight, key_, patch.first, grad, value_, patch.second, patch.distance);
    if (!mask.template whole<kFrom, kTo>()) mask.template apply<kFrom, kTo>(weight);
#pragma unroll
    for (int block = 0; block < 2; ++block) {
      const std::uint32_t address = patch.statistics + (block * patch.distance * kBlock + 2 * (threadIdx.x % 4)) * 4;
      float lse[2], delta[2];                    // of this lane's two columns
      load_shared_pair(address, lse);
      load_shared_pair(address + patch.delta_offset, delta);
#pragma unroll
      for (int j = 0; j < 2; ++j) lse[j] = mask.meets(j) ? lse[j] * -kLog2e : -INFINITY;
#pragma unroll
      for (int m = kFrom; m < kTo; ++m)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          weight[m][block][e] = exp2_fast(fmaf(weight[m][block][e], scale_log2_, lse[e % 2]));
          grad[m][block][e] = weight[m][block][e] * (grad[m][block][e] - delta[e % 2]);
        }
    }
    FragmentA<Element> operand[kSubtiles], grad_operand[kSubtiles];
#pragma unroll
    for (int m = kFrom; m < kTo; ++m) {
      operand[m] = operand_a<Element>(weight[m][0], weight[m][1]);
      grad_operand[m] = operand_a<Element>(grad[m][0], grad[m][1]);
    }
    multiply_columns<kFrom, kTo, Element, kDim, kSubtiles>(grad_value_, operand, patch.second, patch.distance);
    multiply_columns<kFrom, kTo, Element, kDim, kSubtiles>(grad_key_, grad_operand, patch.first, patch.distance);
  }

  __device__ void store(const Arguments& arguments, const Work& work, const Tile& tile) const {
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const int token = tile.token(work, i, lane_of_thread());
      if (token < 0) continue;
      store_row(result_row<Element>(arguments.grad_key, work, token), 0, grad_key_[i / 2], i % 2, arguments.scale);
      store_row(result_row<Element>(arguments.grad_value, work, token), 0, grad_value_[i / 2], i % 2, 1.f);
    }
  }
  __device__ void store_partial(float* rows, const Work& work, const Tile& tile) const {      // without the scale
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const int token = tile.token(work, i, lane_of_thread());
      if (token < 0) continue;
      store_row(rows + token * kPartialFloats, 0, grad_key_[i / 2], i % 2, 1.f);
      store_row(rows + token * kPartialFloats, kDim, grad_value_[i / 2], i % 2, 1.f);
    }
  }
  __device__ void add_partial(const float* rows, const Work& work, const Tile& tile) {
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const int token = tile.token(work, i, lane_of_thread());
      if (token < 0) continue;
      add_row(grad_key_[i / 2], rows + token * kPartialFloats, 0, i % 2, 1.f);
      add_row(grad_value_[i / 2], rows + token * kPartialFloats, kDim, i % 2, 1.f);
    }
  }

 private:
  __device__ static void load_shared_pair(std::uint32_t address, float (&pair)[2]) {
    asm volatile("ld.shared.v2.f32 {%0,%1}, [%2];" : "=f"(pair[0]), "=f"(pair[1]) : "r"(address) : "memory");
  }

  Stationary<Element, kDim, kSubtiles> key_, value_;
  float scale_log2_;
  float grad_key_[kSubtiles][kDim / 8][4], grad_value_[kSubtiles][kDim / 8][4];
};

}  // namespace fovea::kernels::sm80
