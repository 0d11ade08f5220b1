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
  static constexpr int kDim = kHeadDim;
  static constexpr int kBlockBytes = kBlock * SharedRows<Element, kDim>::kRowBytes;
  static constexpr int kOperandBytes = (Tuning::kStageBlocks + kNearBlocks) * kBlockBytes;
  static constexpr int kStageBytes = 2 * kOperandBytes;          // keys, then values
  static constexpr int kPartialFloats = kDim;

  __device__ static const ConstView& streamed_first(const Arguments& arguments) { return arguments.key; }
  __device__ static const ConstView& streamed_second(const Arguments& arguments) { return arguments.value; }
  template <class Copier>
  __device__ static void copy_statistics(const Arguments&, const Work&, const Copier&, std::uint32_t, int) {}
  __device__ static float* partials(const Arguments& arguments) { return arguments.query_partials; }

  __device__ QueryGradientPass(const Arguments& arguments, const Work& work, const LaneTokens& lane)
      : query_(Plane<Element>(arguments.query, work), lane, sign_mask(arguments.scale)),
        grad_output_(Plane<Element>(arguments.grad_output, work), lane, 0u),
        scale_log2_(absolute_scale_log2(arguments.scale)) {
    clear(grad_query_);
    const Plane<Element> output(arguments.output, work), grad_output(arguments.grad_output, work);
    const std::int64_t first = row_index(arguments.layout, work);
    const int c = threadIdx.x % 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int token = lane.token[half];
      float sum = 0.f;
      if (token >= 0) {
#pragma unroll
        for (int chunk = c; chunk < SharedRows<Element, kDim>::kChunks; chunk += 4)
          sum += dot_16_bytes(__ldg(reinterpret_cast<const uint4*>(output.row(token)) + chunk),
                              __ldg(reinterpret_cast<const uint4*>(grad_output.row(token)) + chunk), Element{});
      }
      delta_[half] = row_sum(sum);
      if (token < 0) continue;
      minus_lse_[half] = arguments.lse[first + token] * -kLog2e;
      if (arguments.grad_lse) delta_[half] -= arguments.grad_lse[first + token];
      if (c == 0 && work.split <= 0) arguments.delta[first + token] = delta_[half];   // every share of the sequence has the same
    }
  }

  template <int kColumns>
  __device__ void meet(const Patch<kColumns>& patch, const ColumnBias<kColumns>& bias, const WindowMask& mask, const Reach& reach,
                       std::uint32_t buffer) {
    float score[2 * kColumns][4], grad[2 * kColumns][4];
    multiply_rows_twice(score, query_, buffer, grad, grad_output_, buffer + kOperandBytes, patch);
    if (!columns_decide(reach, patch)) mask_scores(score, mask, reach, patch);
#pragma unroll
    for (int i = 0; i < 2 * kColumns; ++i)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const float probability = exp2_fast(fmaf(score[i][e], scale_log2_, minus_lse_[e / 2] + bias.value[i % kColumns][e % 2]));
        grad[i][e] = probability * (grad[i][e] - delta_[e / 2]);
      }
    multiply_columns<Element, kDim>(grad_query_, grad, buffer, patch);
  }

  __device__ void store(const Arguments& arguments, const Work& work, const LaneTokens& lane) const {
#pragma unroll
    for (int half = 0; half < 2; ++half)
      if (lane.token[half] >= 0)
        store_row(result_row<Element>(arguments.result, work, lane.token[half]), 0, grad_query_, half, arguments.scale);
  }
  __device__ void store_partial(float* rows, const LaneTokens& lane) const {      // without the scale
#pragma unroll
    for (int half = 0; half < 2; ++half)
      if (lane.token[half] >= 0) store_row(rows + lane.token[half] * kPartialFloats, 0, grad_query_, half, 1.f);
  }
  __device__ void add_partial(const float* rows, const LaneTokens& lane) {
#pragma unroll
    for (int half = 0; half < 2; ++half)
      if (lane.token[half] >= 0) add_row(grad_query_, rows + lane.token[half] * kPartialFloats, 0, half, 1.f);
  }

 private:
  Stationary<Element, kDim> query_, grad_output_;
  float scale_log2_;
  float minus_lse_[2] = {0.f, 0.f}, delta_[2];  // lse in units of log2
  float grad_query_[kDim / 8][4];
};

}  // namespace fovea::kernels::sm80
