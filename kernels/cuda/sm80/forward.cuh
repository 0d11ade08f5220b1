// Forward: queries stay, keys and values stream past; softmax online (Milakov and Gimelshein 2018; FlashAttention-2, Dao 2023).
#pragma once

#include "kernels/cuda/sm80/pass.cuh"

namespace fovea::kernels::sm80 {

template <class ElementType, int kHeadDim, class TuningType>
class ForwardPass {
 public:
  using Element = ElementType;
  using Tuning = TuningType;
  static constexpr int kDim = kHeadDim, kSubtiles = Tuning::kSubtiles, kGroups = 2 * kSubtiles;
  using Riding = ForwardPass<Element, kDim, OneSubtile<Tuning>>;
  using Room = sm80::Room<Element, kDim, false>;
  static constexpr int kPartialFloats = kDim + 2;                // weighted sum, maximum (base 2), sum
  __device__ static const ConstView& streamed_first(const Arguments& arguments) { return arguments.key; }
  __device__ static const ConstView& streamed_second(const Arguments& arguments) { return arguments.value; }
  __device__ static float* partials(const Arguments& arguments) { return arguments.query_partials; }
  __device__ static float nothing(int column) { return column == kDim ? -INFINITY : 0.f; }   // partial results of no tokens

  __device__ ForwardPass(const Arguments& arguments, const Work& work, const Tile& tile)
      : query_(Plane<Element>(arguments.query, work), work, tile, sign_mask(arguments.scale)),
        scale_log2_(absolute_scale_log2(arguments.scale)) {
    clear(output_);
#pragma unroll
    for (int i = 0; i < kGroups; ++i) shift_[i] = sum_[i] = 0.f, unmet_ |= tile.token(work, i, lane_of_thread()) < 0 ? 0u : 1u << i;
  }

  template <int kFrom, int kTo, class Mask>
  __device__ void meet(const Patch& patch, const Mask& mask) {
    float score[kSubtiles][2][4];
    multiply_rows<kFrom, kTo>(score, query_, patch.first, patch.distance);
    if (!mask.template whole<kFrom, kTo>()) mask.template apply<kFrom, kTo>(score);
    FragmentA<Element> weight[kSubtiles];
    float added[kGroups];
    if (__any_sync(~0u, weigh<kFrom, kTo>(score, mask, weight, added) || unmet_ != 0)) {
      raise_maximum<kFrom, kTo>(score, mask);
      weigh<kFrom, kTo>(score, mask, weight, added);
    }
#pragma unroll
    for (int i = 2 * kFrom; i < 2 * kTo; ++i) sum_[i] += added[i];
    multiply_columns<kFrom, kTo, Element, kDim, kSubtiles>(output_, weight, patch.second, patch.distance);
  }

  __device__ void store(const Arguments& arguments, const Work& work, const Tile& tile) const {
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const float sum = row_sum(sum_[i]);
      const int token = tile.token(work, i, lane_of_thread());
      if (token < 0) continue;
      store_row(result_row<Element>(arguments.result, work, token), 0, output_[i / 2], i % 2, __frcp_rn(sum));
      if (threadIdx.x % 4 == 0) arguments.lse_result[row_index(arguments.layout, work) + token] = kLn2 * (__log2f(sum) - shift_[i]);
    }
  }

  __device__ void store_partial(float* rows, const Work& work, const Tile& tile) const {
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const float sum = row_sum(sum_[i]);
      const int token = tile.token(work, i, lane_of_thread());
      if (token < 0) continue;
      float* row = rows + token * kPartialFloats;
      store_row(row, 0, output_[i / 2], i % 2, 1.f);
      if (threadIdx.x % 4 == 0) store_pair(row, kDim, maximum(i), sum);
    }
  }

  __device__ void add_partial(const float* rows, const Work& work, const Tile& tile) {
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const int token = tile.token(work, i, lane_of_thread());
      if (token < 0) continue;
      const float* row = rows + token * kPartialFloats;
      const float other = row[kDim], raised = fmaxf(maximum(i), other);
      if (raised == -INFINITY) continue;                           // neither has met a key
      rescale(i, raised);
      const float factor = exp2_fast(other - raised);
      add_row(output_[i / 2], row, 0, i % 2, factor);
      if (threadIdx.x % 4 == 0) sum_[i] = fmaf(factor, row[kDim + 1], sum_[i]);
    }
  }

 private:
  static constexpr float kMost = 1024.f;        // of four weights: then the maximum follows

  // weight = exp2(score * scale + shift), and the sums of this lane's; whether they have grown out of bounds.
  template <int kFrom, int kTo, class Mask>
  __device__ bool weigh(const float (&score)[kSubtiles][2][4], const Mask& mask, FragmentA<Element> (&weight)[kSubtiles],
                        float (&added)[kGroups]) const {
    float largest = 0.f;
#pragma unroll
    for (int m = kFrom; m < kTo; ++m) {
      float p[2][4];
#pragma unroll
      for (int block = 0; block < 2; ++block)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          p[block][e] = exp2_fast(fmaf(score[m][block][e], scale_log2_, mask.meets(e % 2) ? shift_[2 * m + e / 2] : -INFINITY));
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        added[2 * m + half] = (p[0][2 * half] + p[0][2 * half + 1]) + (p[1][2 * half] + p[1][2 * half + 1]);
        largest = fmaxf(largest, added[2 * m + half]);
      }
      weight[m] = operand_a<Element>(p[0], p[1]);
    }
    return largest > kMost;
  }

  // Rows whose maximum lags, or that meet their first key, take the patch's maximum; what they have so far is rescaled.
  template <int kFrom, int kTo, class Mask>
  __device__ void raise_maximum(const float (&score)[kSubtiles][2][4], const Mask& mask) {
#pragma unroll
    for (int i = 2 * kFrom; i < 2 * kTo; ++i) {
      const int m = i / 2, e = i % 2 * 2;
      const float even = mask.meets(0) ? fmaxf(score[m][0][e], score[m][1][e]) : -INFINITY;
      const float odd = mask.meets(1) ? fmaxf(score[m][0][e + 1], score[m][1][e + 1]) : -INFINITY;
      const float largest = row_maximum(fmaxf(even, odd));
      if (largest == -INFINITY) continue;
      rescale(i, fmaxf(maximum(i), largest * scale_log2_));
    }
  }
  __device__ float maximum(int i) const { return unmet_ >> i & 1u ? -INFINITY : -shift_[i]; }
  __device__ void rescale(int i, float maximum) {
    const float factor = unmet_ >> i & 1u ? 0.f : exp2_fast(-shift_[i] - maximum);
    shift_[i] = -maximum;
    unmet_ &= ~(1u << i);
    sum_[i] *= factor;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) output_[i / 2][n][i % 2 * 2] *= factor, output_[i / 2][n][i % 2 * 2 + 1] *= factor;
  }

  Stationary<Element, kDim, kSubtiles> query_;
  float scale_log2_;
  float shift_[kGroups], sum_[kGroups];         // minus the maximum, in units of log2; sums of this lane's columns
  unsigned unmet_ = 0;                          // bit i: the token of group i has met no key yet
  float output_[kSubtiles][kDim / 8][4];
};

}  // namespace fovea::kernels::sm80
