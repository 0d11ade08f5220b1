// Backward, first pass: gradient of the queries. Queries stay, keys and values stream past; scores are computed again from lse, as in
// FlashAttention-2. Leaves delta, which the second pass streams.
#pragma once

#include "kernels/cuda/sm80/pass.cuh"

namespace fovea::kernels::sm80 {

template <class ElementType, int kHeadDim, class TuningType>
class QueryGradientPass {
 public:
  using Element = ElementType;
  using Tuning = TuningType;
  static constexpr int kDim = kHeadDim, kSubtiles = Tuning::kSubtiles, kGroups = 2 * kSubtiles;
  using Riding = QueryGradientPass<Element, kDim, OneSubtile<Tuning>>;
  using Room = sm80::Room<Element, kDim, false>;
  static constexpr int kPartialFloats = kDim;

  __device__ static const ConstView& streamed_first(const Arguments& arguments) { return arguments.key; }
  __device__ static const ConstView& streamed_second(const Arguments& arguments) { return arguments.value; }
  __device__ static float* partials(const Arguments& arguments) { return arguments.query_partials; }
  __device__ static float nothing(int) { return 0.f; }             // partial results of no tokens

  __device__ QueryGradientPass(const Arguments& arguments, const Work& work, const Tile& tile)
      : query_(Plane<Element>(arguments.query, work), work, tile, sign_mask(arguments.scale)),
        grad_output_(Plane<Element>(arguments.grad_output, work), work, tile, 0u),
        scale_log2_(absolute_scale_log2(arguments.scale)) {
    clear(grad_query_);
    const std::int64_t first = row_index(arguments.layout, work);
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const int token = tile.token(work, i, lane_of_thread());
      minus_lse_[i] = token < 0 ? 0.f : arguments.lse[first + token] * -kLog2e;
      delta_[i] = delta_of(arguments, work, token);
      if (token < 0) continue;
      if (arguments.grad_lse) delta_[i] -= arguments.grad_lse[first + token];
      if (threadIdx.x % 4 == 0 && work.split <= 0) arguments.delta[first + token] = delta_[i];   // every share of the sequence has the same
    }
  }

  template <int kFrom, int kTo, class Mask>
  __device__ void meet(const Patch& patch, const Mask& mask) {
    float score[kSubtiles][2][4], grad[kSubtiles][2][4];
    multiply_rows_twice<kFrom, kTo>(score, query_, patch.first, grad, grad_output_, patch.second, patch.distance);
    if (!mask.template whole<kFrom, kTo>()) mask.template apply<kFrom, kTo>(score);
    FragmentA<Element> weight[kSubtiles];
#pragma unroll
    for (int m = kFrom; m < kTo; ++m) {
#pragma unroll
      for (int block = 0; block < 2; ++block)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int i = 2 * m + e / 2;
          const float probability = exp2_fast(fmaf(score[m][block][e], scale_log2_, mask.meets(e % 2) ? minus_lse_[i] : -INFINITY));
          grad[m][block][e] = probability * (grad[m][block][e] - delta_[i]);
        }
      weight[m] = operand_a<Element>(grad[m][0], grad[m][1]);
    }
    multiply_columns<kFrom, kTo, Element, kDim, kSubtiles>(grad_query_, weight, patch.first, patch.distance);
  }

  __device__ void store(const Arguments& arguments, const Work& work, const Tile& tile) const {
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const int token = tile.token(work, i, lane_of_thread());
      if (token >= 0) store_row(result_row<Element>(arguments.result, work, token), 0, grad_query_[i / 2], i % 2, arguments.scale);
    }
  }
  __device__ void store_partial(float* rows, const Work& work, const Tile& tile) const {      // without the scale
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const int token = tile.token(work, i, lane_of_thread());
      if (token >= 0) store_row(rows + token * kPartialFloats, 0, grad_query_[i / 2], i % 2, 1.f);
    }
  }
  __device__ void add_partial(const float* rows, const Work& work, const Tile& tile) {
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const int token = tile.token(work, i, lane_of_thread());
      if (token >= 0) add_row(grad_query_[i / 2], rows + token * kPartialFloats, 0, i % 2, 1.f);
    }
  }

 private:
  // Output times its gradient, summed over a token's elements by the four lanes that share it.
  __device__ static float delta_of(const Arguments& arguments, const Work& work, int token) {
    float sum = 0.f;
    if (token >= 0) {
      const uint4* output = reinterpret_cast<const uint4*>(Plane<Element>(arguments.output, work).row(token));
      const uint4* grad_output = reinterpret_cast<const uint4*>(Plane<Element>(arguments.grad_output, work).row(token));
#pragma unroll
      for (int chunk = threadIdx.x % 4; chunk < SharedRows<Element, kDim>::kChunks; chunk += 4)
        sum += dot_16_bytes(__ldg(output + chunk), __ldg(grad_output + chunk), Element{});
    }
    return row_sum(sum);
  }

  Stationary<Element, kDim, kSubtiles> query_, grad_output_;
  float scale_log2_;
  float minus_lse_[kGroups], delta_[kGroups];   // lse in units of log2
  float grad_query_[kSubtiles][kDim / 8][4];
};

}  // namespace fovea::kernels::sm80
