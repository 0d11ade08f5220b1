// What every kernel of this back end is given, and where its results go.
#pragma once

#include "kernels/cuda/sm80/geometry.h"

namespace fovea::kernels::sm80 {

constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

struct Arguments {
  Layout layout;
  HeadTable heads;
  float scale;
  ConstView query, key, value, output, grad_output;
  const float* lse;
  const float* grad_lse;
  MutableView result, grad_key, grad_value;     // result: output or grad_query
  float* lse_result;
  float* delta;                                 // [B, heads, N]: rowsum(grad_output * output) - grad_lse
  float* query_partials;                        // [B * heads, splits, G, D (+ 2)]: what the parts of the sequence gave the global queries
  float* key_partials;                          // [B * heads, splits, G, 2 D]
  int query_splits, key_splits;                 // of the sequence, for merging
};

template <class Element>
__device__ Element* result_row(const MutableView& view, const Work& work, int token) {
  return static_cast<Element*>(view.data) + work.batch * view.batch_stride + work.head * view.head_stride + token * view.token_stride;
}

// Index of the first token's entry in [B, heads, N].
__device__ inline std::int64_t row_index(const Layout& layout, const Work& work) {
  return (std::int64_t(work.batch) * layout.heads + work.head) * layout.tokens;
}

// Partial results of part `split` of `splits` of the sequence: a row of `row_floats` for each global token.
__device__ inline float* partial_rows(float* partials, const Layout& layout, const Work& work, int splits, int split, int row_floats) {
  const std::int64_t plane = std::int64_t(work.batch) * layout.heads + work.head;
  return partials + (plane * splits + split) * layout.global_tokens * row_floats;
}

// Scores are multiplied by |scale| alone, so that the largest product is the largest score; the sign goes to the stationary operand.
// 1e-30 acts as 0 and keeps 0 * inf away.
__device__ inline float absolute_scale_log2(float scale) { return fmaxf(fabsf(scale) * kLog2e, 1e-30f); }
__device__ inline std::uint32_t sign_mask(float scale) { return scale < 0.f ? 0x80008000u : 0u; }

}  // namespace fovea::kernels::sm80
