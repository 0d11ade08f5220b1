// What the kernels of attention analysis are given, and the numbers that belong to a token.
//
// Both products have one form. Each token has sums of its own ("own") over the tokens that it sees or is seen by ("other"):
//     sum over other of weight(other) * exp(scale * own.other - lse of whichever is the query)
// in A: own are keys, other are queries; A in, and log-sum-exp itself: own are queries, other are keys. Windows are symmetric.
#pragma once

#include "kernels/attention_products.h"

namespace fovea::kernels::analysis {

enum class Mode { kRow, kColumn, kLse };

// With heads made one by their maximum or minimum: a sum as above; divided by its row's sum; or what the own token (a query) has to share
// out, its input, divided by its row's sum.
enum class FusedResult { kSum, kMean, kShare };

constexpr float kLog2E = 1.44269504088896340736f, kLn2 = 0.69314718055994530942f;
// Added to the exponent of a token that does not count. Finite, so that nothing becomes NaN.
constexpr float kHidden = -1e30f;
constexpr float kNoMaximum = -1e29f;   // above every hidden score, below every other

struct HeadList {
  int count = 0;
  std::uint16_t index[kMaxHeads];
};

struct Rect {
  int y, x, height, width;
  __device__ bool holds(int row, int column) const { return unsigned(row - y) < unsigned(height) && unsigned(column - x) < unsigned(width); }
  __device__ std::int64_t index(int row, int column) const { return std::int64_t(row - y) * width + (column - x); }
};

struct Tokens {
  const void* data;
  std::int64_t token_stride, head_stride;
};

struct Arguments {
  Tokens own, other;
  int height, width, globals, other_globals;      // other_globals: 0 where the globals' weights are all zero
  int radius_y, radius_x, dilation;
  float scale_log2;                               // scale * log2(e): exponents are of 2
  Rect input_rect, output_rect, lse_rect;
  const float *input, *input_globals;
  float* output;                                  // kLse: [heads][output_rect]
  const float *lse, *global_lse;
  std::int64_t lse_head_stride, global_lse_stride, output_head_stride;
  float factor;                                   // of every sum: 1 / heads
  int accumulate;                                 // add to what is in output: heads of another dilation were there before
  HeadList heads;                                 // of this dilation
  // Of the maximum (sign 1) or minimum (-1) of heads:
  float sign, signed_scale;                       // sign * scale
  bool own_are_queries;
  FusedResult result;
};

// A token of the other side: on the grid, a global one (y < 0, x: which) or none.
struct OtherToken {
  int y, x;
  bool exists;
  __device__ bool global() const { return y < 0; }
  __device__ std::int64_t place(const Arguments& arguments) const {
    return global() ? x : arguments.globals + std::int64_t(y) * arguments.width + x;
  }
};

// What is added to the other token's exponents, and its weight.
struct Term { float bias, weight; };

template <Mode kMode>
__device__ inline Term term_of(const Arguments& arguments, const OtherToken& token, int head) {
  if (!token.exists) return {kHidden, 0.f};
  if (kMode == Mode::kLse) return {0.f, 1.f};
  const bool weighted = token.global() ? arguments.input_globals != nullptr : arguments.input_rect.holds(token.y, token.x);
  if (!weighted) return {kHidden, 0.f};
  const float weight =
      token.global() ? arguments.input_globals[token.x] : arguments.input[arguments.input_rect.index(token.y, token.x)];
  if (kMode == Mode::kColumn) return {0.f, weight};
  const float lse = token.global() ? arguments.global_lse[head * arguments.global_lse_stride + token.x]
                                   : arguments.lse[head * arguments.lse_head_stride + arguments.lse_rect.index(token.y, token.x)];
  return {-lse * kLog2E, weight};
}

}  // namespace fovea::kernels::analysis
