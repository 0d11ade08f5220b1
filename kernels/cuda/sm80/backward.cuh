// Backward, two passes without atomics: gradient of the queries (keys and values stream past), then gradient of keys and values
// (queries, output gradients, lse and delta of the same halo stream past). Scores are computed again in both, as in FlashAttention-2.
#pragma once

#include "kernels/cuda/sm80/pass.cuh"

namespace fovea::kernels::sm80 {

template <class ElementType, int kHeadDim, class TuningType>
class QueryGradientPass {
 public:
  using Element = ElementType;
  using Tuning = TuningType;
  static constexpr int kDim = kHeadDim, kSub = Tuning::kSub;
  static constexpr int kOperandBytes = Tuning::kStageBlocks * kBlock * SharedRows<Element, kDim>::kRowBytes;
  static constexpr int kStageBytes = 2 * kOperandBytes;          // keys, then values
  static constexpr int kPartialFloats = kDim;

  __device__ static void copy(const Arguments& arguments, const Work& work, const Halo& halo, const Stage& stage, std::uint32_t buffer) {
    copy_stage<Tuning, Element, kDim>(halo, stage, Plane<Element>(arguments.key, work), Plane<Element>(arguments.value, work), buffer,
                                      buffer + kOperandBytes);
  }

  __device__ QueryGradientPass(const Arguments& arguments, const Work& work, const WarpTokens<kSub>& tokens)
      : QueryGradientPass(arguments, work, LaneTokens<kSub>(work, tokens)) {}

  template <int kCount>
  __device__ void meet(const Blocks<kCount>& blocks, const WindowMask<kSub>& mask, std::uint32_t buffer) {
    float score[kSub][kCount][4], grad[kSub][kCount][4];
    multiply_rows(score, query_, buffer, blocks);
    multiply_rows(grad, grad_output_, buffer + kOperandBytes, blocks);
    for_each_score(mask, blocks, [&](int s, int i, int e, bool met) {
      const int half = 2 * s + e / 2;
      const float probability = exp2_fast(fmaf(score[s][i][e], scale_log2_, -lse_log2_[half]));
      grad[s][i][e] = met ? probability * (grad[s][i][e] - delta_[half]) : 0.f;
    });
    multiply_columns<Element, kDim>(grad_query_, grad, buffer, blocks);
  }

  __device__ void finish(const Arguments& arguments, const Work& work, const WarpTokens<kSub>& tokens) {
    const LaneTokens<kSub> lane(work, tokens);
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) {
      if (lane.token[half] < 0) continue;
      if (work.split >= 0)
        store_row(partial_row(arguments.query_partials, arguments.layout, work, lane.token[half], kPartialFloats), 0, grad_query_, half,
                   arguments.scale);
      else
        store_row(result_row<Element>(arguments.result, work, lane.token[half]), 0, grad_query_, half, arguments.scale);
    }
  }

 private:
  __device__ QueryGradientPass(const Arguments& arguments, const Work& work, const LaneTokens<kSub>& lane)
      : query_(Plane<Element>(arguments.query, work), lane.token, 0u),
        grad_output_(Plane<Element>(arguments.grad_output, work), lane.token, 0u),
        scale_log2_(arguments.scale * kLog2e) {
    clear(grad_query_);
    const Plane<Element> output(arguments.output, work), grad_output(arguments.grad_output, work);
    const std::int64_t first = row_index(arguments.layout, work);
    const int c = threadIdx.x % 4;
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) {
      const int token = lane.token[half];
      float sum = 0.f;
      if (token >= 0) {
#pragma unroll
        for (int chunk = c; chunk < SharedRows<Element, kDim>::kChunks; chunk += 4)
          sum += dot_16_bytes(__ldg(reinterpret_cast<const uint4*>(output.row(token)) + chunk),
                              __ldg(reinterpret_cast<const uint4*>(grad_output.row(token)) + chunk), Element{});
      }
      delta_[half] = row_sum(sum);
      lse_log2_[half] = 0.f;
      if (token < 0) continue;
      lse_log2_[half] = arguments.lse[first + token] * kLog2e;
      if (arguments.grad_lse) delta_[half] -= arguments.grad_lse[first + token];
      if (c == 0 && work.split <= 0) arguments.delta[first + token] = delta_[half];   // every share of the sequence has the same
    }
  }

  Stationary<Element, kDim, kSub> query_, grad_output_;
  float scale_log2_;
  float lse_log2_[2 * kSub], delta_[2 * kSub];
  float grad_query_[kSub][kDim / 8][4];
};

template <class ElementType, int kHeadDim, class TuningType>
class KeyGradientPass {
 public:
  using Element = ElementType;
  using Tuning = TuningType;
  static constexpr int kDim = kHeadDim, kSub = Tuning::kSub;
  static constexpr int kStageTokens = Tuning::kStageBlocks * kBlock;
  static constexpr int kOperandBytes = kStageTokens * SharedRows<Element, kDim>::kRowBytes;
  static constexpr int kStatisticBytes = kStageTokens * 4;
  // queries, output gradients, lse, delta; a multiple of 1024 bytes, so that rows stay aligned with their swizzle
  static constexpr int kStageBytes = (2 * kOperandBytes + 2 * kStatisticBytes + 1023) / 1024 * 1024;
  static constexpr int kPartialFloats = 2 * kDim;                // of the key, of the value

  __device__ static void copy(const Arguments& arguments, const Work& work, const Halo& halo, const Stage& stage, std::uint32_t buffer) {
    copy_stage<Tuning, Element, kDim>(halo, stage, Plane<Element>(arguments.query, work), Plane<Element>(arguments.grad_output, work), buffer,
                                      buffer + kOperandBytes);
    static_assert(2 * kStageTokens <= Tuning::kWarps * 32, "one thread a number");
    const int index = threadIdx.x % kStageTokens;
    if (threadIdx.x >= 2 * kStageTokens) return;
    const StagedToken staged = staged_token(halo, stage, index);
    const float* source = (threadIdx.x < kStageTokens ? arguments.lse : arguments.delta) + row_index(arguments.layout, work);
    if (staged.stored) copy_4_or_zero(buffer + 2 * kOperandBytes + threadIdx.x * 4, source + larger(staged.token, 0), staged.token >= 0);
  }

  __device__ KeyGradientPass(const Arguments& arguments, const Work& work, const WarpTokens<kSub>& tokens)
      : KeyGradientPass(arguments, work, LaneTokens<kSub>(work, tokens)) {}

  template <int kCount>
  __device__ void meet(const Blocks<kCount>& blocks, const WindowMask<kSub>& mask, std::uint32_t buffer) {
    float probability[kSub][kCount][4], grad[kSub][kCount][4];
    multiply_rows(probability, key_, buffer, blocks);
    multiply_rows(grad, value_, buffer + kOperandBytes, blocks);
    float2 lse[kCount], delta[kCount];           // of this lane's two columns of each block
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const std::uint32_t address = buffer + 2 * kOperandBytes + (blocks.slot[i] * kBlock + 2 * (threadIdx.x % 4)) * 4;
      lse[i] = load_shared_pair(address);
      delta[i] = load_shared_pair(address + kStatisticBytes);
    }
    for_each_score(mask, blocks, [&](int s, int i, int e, bool met) {
      float& p = probability[s][i][e];
      p = met ? exp2_fast(fmaf(p, scale_log2_, (e % 2 ? lse[i].y : lse[i].x) * -kLog2e)) : 0.f;
      grad[s][i][e] = met ? p * (grad[s][i][e] - (e % 2 ? delta[i].y : delta[i].x)) : 0.f;
    });
    multiply_columns<Element, kDim>(grad_value_, probability, buffer + kOperandBytes, blocks);
    multiply_columns<Element, kDim>(grad_key_, grad, buffer, blocks);
  }

  __device__ void finish(const Arguments& arguments, const Work& work, const WarpTokens<kSub>& tokens) {
    const LaneTokens<kSub> lane(work, tokens);
#pragma unroll
    for (int half = 0; half < 2 * kSub; ++half) {
      if (lane.token[half] < 0) continue;
      if (work.split >= 0) {
        float* row = partial_row(arguments.key_partials, arguments.layout, work, lane.token[half], kPartialFloats);
        store_row(row, 0, grad_key_, half, arguments.scale);
        store_row(row, kDim, grad_value_, half, 1.f);
      } else {
        store_row(result_row<Element>(arguments.grad_key, work, lane.token[half]), 0, grad_key_, half, arguments.scale);
        store_row(result_row<Element>(arguments.grad_value, work, lane.token[half]), 0, grad_value_, half, 1.f);
      }
    }
  }

 private:
  __device__ KeyGradientPass(const Arguments& arguments, const Work& work, const LaneTokens<kSub>& lane)
      : key_(Plane<Element>(arguments.key, work), lane.token, 0u),
        value_(Plane<Element>(arguments.value, work), lane.token, 0u),
        scale_log2_(arguments.scale * kLog2e) {
    clear(grad_key_);
    clear(grad_value_);
  }
  __device__ static float2 load_shared_pair(std::uint32_t address) {
    float2 pair;
    asm volatile("ld.shared.v2.f32 {%0,%1}, [%2];" : "=f"(pair.x), "=f"(pair.y) : "r"(address) : "memory");
    return pair;
  }

  Stationary<Element, kDim, kSub> key_, value_;
  float scale_log2_;
  float grad_key_[kSub][kDim / 8][4], grad_value_[kSub][kDim / 8][4];
};

}  // namespace fovea::kernels::sm80
