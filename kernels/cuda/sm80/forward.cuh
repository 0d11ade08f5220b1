// Forward: queries stay, keys and values stream past; softmax online (Milakov and Gimelshein 2018; FlashAttention-2, Dao 2023).
#pragma once

#include "kernels/cuda/sm80/pass.cuh"

namespace fovea::kernels::sm80 {

template <class ElementType, int kHeadDim, class TuningType>
class ForwardPass {
 public:
  using Element = ElementType;
  using Tuning = TuningType;
  static constexpr int kDim = kHeadDim;
  static constexpr int kBlockBytes = kBlock * SharedRows<Element, kDim>::kRowBytes;
  static constexpr int kOperandBytes = (Tuning::kStageBlocks + kNearBlocks) * kBlockBytes;
  static constexpr int kStageBytes = 2 * kOperandBytes;          // keys, then values
  static constexpr int kPartialFloats = kDim + 2;                // weighted sum, maximum (base 2), sum
  __device__ static const ConstView& streamed_first(const Arguments& arguments) { return arguments.key; }
  __device__ static const ConstView& streamed_second(const Arguments& arguments) { return arguments.value; }
  template <class Copier>
  __device__ static void copy_statistics(const Arguments&, const Work&, const Copier&, std::uint32_t, int) {}
  __device__ static float* partials(const Arguments& arguments) { return arguments.query_partials; }

  __device__ ForwardPass(const Arguments& arguments, const Work& work, const LaneTokens& lane)
      : query_(Plane<Element>(arguments.query, work), lane, sign_mask(arguments.scale)), scale_log2_(absolute_scale_log2(arguments.scale)) {
    clear(output_);
  }

  template <int kColumns>
  __device__ void meet(const Patch<kColumns>& patch, const ColumnBias<kColumns>& bias, const WindowMask& mask, const Reach& reach,
                       std::uint32_t buffer) {
    float score[2 * kColumns][4];
    multiply_rows(score, query_, buffer, patch);
    if (!columns_decide(reach, patch)) mask_scores(score, mask, reach, patch);
    float largest[2] = {-INFINITY, -INFINITY};
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        largest[e / 2] = fmaxf(largest[e / 2], fmaxf(score[c][e], score[c + kColumns][e]) + bias.value[c][e % 2]);
    raise_maximum(largest);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float shift = maximum_[half] == -INFINITY ? 0.f : -maximum_[half];   // no key met yet: exp2 of every score is 0
#pragma unroll
      for (int i = 0; i < 2 * kColumns; ++i) {
        const int c = i / 2, j = i % 2, e = 2 * half + j;
        score[c][e] = exp2_fast(fmaf(score[c][e], scale_log2_, shift + bias.value[c][j]));
        score[c + kColumns][e] = exp2_fast(fmaf(score[c + kColumns][e], scale_log2_, shift + bias.value[c][j]));
        sum_[half] += score[c][e] + score[c + kColumns][e];
      }
    }
    multiply_columns<Element, kDim>(output_, score, buffer + kOperandBytes, patch);
  }

  __device__ void store(const Arguments& arguments, const Work& work, const LaneTokens& lane) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = row_sum(sum_[half]);
      const int token = lane.token[half];
      if (token < 0) continue;
      store_row(result_row<Element>(arguments.result, work, token), 0, output_, half, 1.f / sum);
      if (threadIdx.x % 4 == 0) arguments.lse_result[row_index(arguments.layout, work) + token] = kLn2 * (maximum_[half] + log2f(sum));
    }
  }

  __device__ void store_partial(float* rows, const LaneTokens& lane) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = row_sum(sum_[half]);
      if (lane.token[half] < 0) continue;
      float* row = rows + lane.token[half] * kPartialFloats;
      store_row(row, 0, output_, half, 1.f);
      if (threadIdx.x % 4 == 0) store_pair(row, kDim, maximum_[half], sum);
    }
  }

  __device__ void add_partial(const float* rows, const LaneTokens& lane) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (lane.token[half] < 0) continue;
      const float* row = rows + lane.token[half] * kPartialFloats;
      const float other = row[kDim], raised = fmaxf(maximum_[half], other);
      if (raised == -INFINITY) continue;                           // neither has met a key
      rescale(half, raised);
      const float factor = exp2_fast(other - raised);
      add_row(output_, row, 0, half, factor);
      if (threadIdx.x % 4 == 0) sum_[half] = fmaf(factor, row[kDim + 1], sum_[half]);
    }
  }

 private:
  // The maximum only sets the scale of the sums, so it follows when it lags by more than 2^8; then the sums so far are rescaled.
  __device__ void raise_maximum(float (&largest)[2]) {
    bool lags = false;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      largest[half] = row_maximum(largest[half]) * scale_log2_;
      lags |= largest[half] > maximum_[half] + 8.f;
    }
    if (!__any_sync(~0u, lags)) return;
#pragma unroll
    for (int half = 0; half < 2; ++half) rescale(half, fmaxf(maximum_[half], largest[half]));
  }
  __device__ void rescale(int half, float maximum) {
    const float factor = maximum_[half] == -INFINITY ? 0.f : exp2_fast(maximum_[half] - maximum);
    maximum_[half] = maximum;
    sum_[half] *= factor;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) output_[n][2 * half] *= factor, output_[n][2 * half + 1] *= factor;
  }

  Stationary<Element, kDim> query_;
  float scale_log2_;
  float maximum_[2] = {-INFINITY, -INFINITY}, sum_[2] = {0.f, 0.f};   // maximum in units of log2; sums of this lane's columns
  float output_[kDim / 8][4];
};

}  // namespace fovea::kernels::sm80
