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
  static constexpr int kDim = kHeadDim;
  static constexpr int kBlockBytes = kBlock * SharedRows<Element, kDim>::kRowBytes;
  static constexpr int kOperandBytes = (Tuning::kStageBlocks + kNearBlocks) * kBlockBytes;
  static constexpr int kStatisticBytes = (Tuning::kStageBlocks + kNearBlocks) * kBlock * 4;
  // queries, output gradients, lse, delta; a multiple of 1024 bytes, so that rows stay aligned with their swizzle
  static constexpr int kStageBytes = (2 * kOperandBytes + 2 * kStatisticBytes + 1023) / 1024 * 1024;
  static constexpr int kPartialFloats = 2 * kDim;                // of the key, of the value

  __device__ static const ConstView& streamed_first(const Arguments& arguments) { return arguments.query; }
  __device__ static const ConstView& streamed_second(const Arguments& arguments) { return arguments.grad_output; }
  template <class Copier>
  __device__ static void copy_statistics(const Arguments& arguments, const Work& work, const Copier& copier, std::uint32_t buffer,
                                         int first_row) {
    if (!copier.stored()) return;
    const std::int64_t index = row_index(arguments.layout, work) + larger(copier.token(), 0);
    const std::uint32_t destination = buffer + 2 * kOperandBytes + (first_row + copier.slot()) * 4;
    if (copier.part() == 0) copy_4_or_zero(destination, arguments.lse + index, copier.token() >= 0);
    if (copier.part() == Copier::kSharers - 1) copy_4_or_zero(destination + kStatisticBytes, arguments.delta + index, copier.token() >= 0);
  }
  __device__ static float* partials(const Arguments& arguments) { return arguments.key_partials; }

  __device__ KeyGradientPass(const Arguments& arguments, const Work& work, const LaneTokens& lane)
      : key_(Plane<Element>(arguments.key, work), lane, sign_mask(arguments.scale)),
        value_(Plane<Element>(arguments.value, work), lane, 0u),
        scale_log2_(absolute_scale_log2(arguments.scale)) {
    clear(grad_key_);
    clear(grad_value_);
  }

  template <int kColumns>
  __device__ void meet(const Patch<kColumns>& patch, const ColumnBias<kColumns>& bias, const WindowMask& mask, const Reach& reach,
                       std::uint32_t buffer) {
    float weight[2 * kColumns][4], grad[2 * kColumns][4];
    multiply_rows_twice(weight, key_, buffer, grad, value_, buffer + kOperandBytes, patch);
    if (!columns_decide(reach, patch)) mask_scores(weight, mask, reach, patch);
#pragma unroll
    for (int i = 0; i < 2 * kColumns; ++i) {
      const std::uint32_t address = buffer + 2 * kOperandBytes + (patch.slot[i] * kBlock + 2 * (threadIdx.x % 4)) * 4;
      float lse[2], delta[2];                    // of this lane's two columns
      load_shared_pair(address, lse);
      load_shared_pair(address + kStatisticBytes, delta);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        weight[i][e] = exp2_fast(fmaf(weight[i][e], scale_log2_, fmaf(lse[e % 2], -kLog2e, bias.value[i % kColumns][e % 2])));
        grad[i][e] = weight[i][e] * (grad[i][e] - delta[e % 2]);
      }
    }
    multiply_columns<Element, kDim>(grad_value_, weight, buffer + kOperandBytes, patch);
    multiply_columns<Element, kDim>(grad_key_, grad, buffer, patch);
  }

  __device__ void store(const Arguments& arguments, const Work& work, const LaneTokens& lane) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (lane.token[half] < 0) continue;
      store_row(result_row<Element>(arguments.grad_key, work, lane.token[half]), 0, grad_key_, half, arguments.scale);
      store_row(result_row<Element>(arguments.grad_value, work, lane.token[half]), 0, grad_value_, half, 1.f);
    }
  }
  __device__ void store_partial(float* rows, const LaneTokens& lane) const {      // without the scale
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (lane.token[half] < 0) continue;
      store_row(rows + lane.token[half] * kPartialFloats, 0, grad_key_, half, 1.f);
      store_row(rows + lane.token[half] * kPartialFloats, kDim, grad_value_, half, 1.f);
    }
  }
  __device__ void add_partial(const float* rows, const LaneTokens& lane) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (lane.token[half] < 0) continue;
      add_row(grad_key_, rows + lane.token[half] * kPartialFloats, 0, half, 1.f);
      add_row(grad_value_, rows + lane.token[half] * kPartialFloats, kDim, half, 1.f);
    }
  }

 private:
  __device__ static void load_shared_pair(std::uint32_t address, float (&pair)[2]) {
    asm volatile("ld.shared.v2.f32 {%0,%1}, [%2];" : "=f"(pair[0]), "=f"(pair[1]) : "r"(address) : "memory");
  }

  Stationary<Element, kDim> key_, value_;
  float scale_log2_;
  float grad_key_[kDim / 8][4], grad_value_[kDim / 8][4];
};

}  // namespace fovea::kernels::sm80
