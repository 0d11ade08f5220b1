// Forward: queries stay, keys and values stream past; softmax online (Milakov and Gimelshein 2018; FlashAttention-2, Dao 2023).
#pragma once

#include "kernels/cuda/sm80/pass.cuh"

namespace fovea::kernels::sm80 {

template <class ElementType, int kHeadDim, class TuningType>
class ForwardPass {
 public:
  using Element = ElementType;
  using Tuning = TuningType;
  static constexpr int kDim = kHeadDim, kSub = Tuning::kSub;
  static constexpr int kOperandBytes = Tuning::kStageBlocks * kBlock * SharedRows<Element, kDim>::kRowBytes;
  static constexpr int kStageBytes = 2 * kOperandBytes;          // keys, then values
  static constexpr int kPartialFloats = kDim + 2;                // weighted sum, maximum (base 2), sum

  __device__ static void copy(const Arguments& arguments, const Work& work, const Halo& halo, const Stage& stage, std::uint32_t buffer) {
    copy_stage<Tuning, Element, kDim>(halo, stage, Plane<Element>(arguments.key, work), Plane<Element>(arguments.value, work), buffer,
                                      buffer + kOperandBytes);
  }

  __device__ ForwardPass(const Arguments& arguments, const Work& work, const WarpTokens<kSub>& tokens)
      : query_(Plane<Element>(arguments.query, work), LaneTokens<kSub>(work, tokens).token, arguments.scale < 0.f ? 0x80008000u : 0u),
        // The sign went to the queries, so that the largest product is the largest score; 1e-30 acts as 0 and keeps 0 * inf away.
        scale_log2_(fmaxf(fabsf(arguments.scale) * kLog2e, 1e-30f)) {
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) maximum_[half] = -INFINITY, sum_[half] = 0.f;
    clear(output_);
  }

  template <int kCount>
  __device__ void meet(const Blocks<kCount>& blocks, const WindowMask<kSub>& mask, std::uint32_t buffer) {
    float score[kSub][kCount][4];
    multiply_rows(score, query_, buffer, blocks);
    float largest[2 * kSub];
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) largest[half] = -INFINITY;
    for_each_score(mask, blocks, [&](int s, int i, int e, bool met) {
      score[s][i][e] = met ? score[s][i][e] : -INFINITY;
      largest[2 * s + e / 2] = fmaxf(largest[2 * s + e / 2], score[s][i][e]);
    });
    raise_maximum(largest);
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) {
      const float shift = maximum_[half] == -INFINITY ? 0.f : -maximum_[half];   // no key met yet: every score is -inf, exp2 gives 0
#pragma unroll
      for (int i = 0; i < kCount; ++i)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          float& x = score[half / 2][i][half % 2 * 2 + j];
          x = exp2_fast(fmaf(x, scale_log2_, shift));
          sum_[half] += x;
        }
    }
    multiply_columns<Element, kDim>(output_, score, buffer + kOperandBytes, blocks);
  }

  __device__ void finish(const Arguments& arguments, const Work& work, const WarpTokens<kSub>& tokens) {
    const LaneTokens<kSub> lane(work, tokens);
    const bool first_lane = threadIdx.x % 4 == 0;
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) {
      const float sum = row_sum(sum_[half]);
      const int token = lane.token[half];
      if (token < 0) continue;
      if (work.split >= 0) {
        float* row = partial_row(arguments.query_partials, arguments.layout, work, token, kPartialFloats);
        store_row(row, 0, output_, half, 1.f);
        if (first_lane) store_pair(row, kDim, maximum_[half], sum);
      } else {
        store_row(result_row<Element>(arguments.result, work, token), 0, output_, half, 1.f / sum);
        if (first_lane) arguments.lse_result[row_index(arguments.layout, work) + token] = kLn2 * (maximum_[half] + log2f(sum));
      }
    }
  }

 private:
  // The maximum only sets the scale of the sums, so it follows when it lags by more than 2^8; then the sums so far are rescaled.
  __device__ void raise_maximum(float (&largest)[2 * kSub]) {
    bool lags = false;
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) {
      largest[half] = row_maximum(largest[half]) * scale_log2_;
      lags |= largest[half] > maximum_[half] + 8.f;
    }
    if (!__any_sync(~0u, lags)) return;
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) {
      const float raised = fmaxf(maximum_[half], largest[half]);
      const float factor = maximum_[half] == -INFINITY ? 0.f : exp2_fast(maximum_[half] - raised);
      maximum_[half] = raised;
      sum_[half] *= factor;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        output_[half / 2][n][half % 2 * 2] *= factor;
        output_[half / 2][n][half % 2 * 2 + 1] *= factor;
      }
    }
  }

  Stationary<Element, kDim, kSub> query_;
  float scale_log2_;
  float maximum_[2 * kSub], sum_[2 * kSub];     // maximum in units of log2; sums of this lane's columns
  float output_[kSub][kDim / 8][4];
};

}  // namespace fovea::kernels::sm80
