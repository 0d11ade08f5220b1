// Gradients of the global tokens: what CTAs summed over the grid, always in the order of the slots, so that every run gives the same bits,
// and what the global tokens give each other. A block for each (batch, head) and token.
#pragma once

#include "kernels/cuda/sm90/backward_sums.h"
#include "kernels/cuda/sm90/merge.cuh"

namespace fovea::kernels::sm90 {

template <class Element>
class GlobalMerge {
 public:
  using Type = typename Element::Type;

  __device__ __forceinline__ explicit GlobalMerge(const GlobalMergeArguments& arguments)
      : a_(arguments), plane_(blockIdx.x / arguments.global_tokens), token_(blockIdx.x % arguments.global_tokens) {}

  // Thread: numbers threadIdx.x and, of wide rows, threadIdx.x + kMergeThreads of a slot's row.
  __device__ __forceinline__ void run() {
    __shared__ int found[kRoundSlots];
    __shared__ float pairs[3][kMaxGlobalTokens];
    const int columns = a_.partials.columns;
    float sums[2] = {};
    for (int first = 0; first < a_.partials.slots; first += kRoundSlots) {
      const int count = find_slots({nullptr, a_.partials.directory, a_.partials.slots, 0}, plane_, first, found);
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        const int number = threadIdx.x + part * kMergeThreads;
        if (number < 3 * columns)
#pragma unroll 8
          for (int i = 0; i < count; ++i) sums[part] += a_.partials.row(found[i], token_, a_.global_tokens)[number];
      }
      __syncthreads();
    }
    weigh_pairs(pairs);
    __syncthreads();
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const int number = threadIdx.x + part * kMergeThreads, which = number / columns, column = number % columns;
      if (which < 3 && column < a_.head_dim) finish(which, column, sums[part], pairs[which]);
    }
  }

 private:
  // Adds what the global tokens give each other.
  __device__ __forceinline__ void finish(int which, int column, float sum, const float (&weights)[kMaxGlobalTokens]) const {
    const ConstView& other = which == 0 ? a_.key : which == 1 ? a_.query : a_.grad_output;
    for (int i = 0; i < a_.global_tokens; ++i) sum = fmaf(weights[i], float(row(other, i)[column]), sum);
    const GradientOutput& to = a_.result[which];
    static_cast<Type*>(to.view.data)[offset(to.view, token_) + column] = Type(sum * to.factor);
  }

  // pairs[0]: dS of this query and key i; [1]: dS of query i and this key; [2]: P of the same.
  __device__ __forceinline__ void weigh_pairs(float (&pairs)[3][kMaxGlobalTokens]) const {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const std::int64_t first = plane_ * a_.tokens;
    for (int i = warp; i < a_.global_tokens; i += kMergeWarps) {
      float score[2] = {}, grad[2] = {};
      for (int d = lane; d < a_.head_dim; d += 32) {
        score[0] = fmaf(float(row(a_.query, token_)[d]), float(row(a_.key, i)[d]), score[0]);
        grad[0] = fmaf(float(row(a_.grad_output, token_)[d]), float(row(a_.value, i)[d]), grad[0]);
        score[1] = fmaf(float(row(a_.query, i)[d]), float(row(a_.key, token_)[d]), score[1]);
        grad[1] = fmaf(float(row(a_.grad_output, i)[d]), float(row(a_.value, token_)[d]), grad[1]);
      }
      for (int step = 16; step; step /= 2)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          score[j] += __shfl_xor_sync(~0u, score[j], step);
          grad[j] += __shfl_xor_sync(~0u, grad[j], step);
        }
      if (lane != 0) continue;
      const float here = exp2f(score[0] * a_.scale_log2 - a_.lse[first + token_] * kLog2E);
      const float there = exp2f(score[1] * a_.scale_log2 - a_.lse[first + i] * kLog2E);
      pairs[0][i] = here * (grad[0] - a_.delta[first + token_]);
      pairs[1][i] = there * (grad[1] - a_.delta[first + i]);
      pairs[2][i] = there;
    }
  }

  template <class AnyView>
  __device__ __forceinline__ std::int64_t offset(const AnyView& v, int token) const {
    return plane_ / a_.heads * v.batch_stride + token * v.token_stride + plane_ % a_.heads * v.head_stride;
  }
  __device__ __forceinline__ const Type* row(const ConstView& v, int token) const {
    return static_cast<const Type*>(v.data) + offset(v, token);
  }

  const GlobalMergeArguments& a_;
  const int plane_, token_;
};

template <class Element>
__global__ __launch_bounds__(kMergeThreads) void merge_gradients_kernel(const __grid_constant__ GlobalMergeArguments arguments) {
  GlobalMerge<Element>(arguments).run();
}

}  // namespace fovea::kernels::sm90
