// Scores of 16 own tokens and 8 others (mma.sync), and the sums that a lane keeps.
//
// The contraction runs over channels in any order that both sides share. So a lane takes 16 neighbouring bytes of a token's row at a
// time, chunks c, c + 4, c + 8 ... for lane % 4 == c, and nothing has to be transposed (ldmatrix) on its way to the operands.
#pragma once

#include "kernels/cuda/analysis/arguments.cuh"
#include "kernels/cuda/ptx.cuh"
#include "kernels/cuda/sm80/fragments_float32.cuh"

namespace fovea::kernels::analysis {

template <class Element, int kDim>
struct RowLayout {
  static constexpr int kRowBytes = kDim * int(sizeof(Element)), kChunks = kRowBytes / 16, kPieces = kChunks / 4;
  static_assert(kPieces >= 1, "rows of at least 64 bytes");
  // Neighbouring tokens' chunks lie in different banks: eight lanes read four chunks of two tokens at once.
  __device__ static int chunk_place(int token, int chunk) { return token * kChunks + (chunk ^ (kChunks >= 8 ? (token & 1) << 2 : 0)); }
};

// A lane's part of a token's row.
template <class Element, int kDim>
struct LaneRow {
  uint4 piece[RowLayout<Element, kDim>::kPieces];
};

template <class Element, int kDim>
__device__ inline LaneRow<Element, kDim> load_row(const Tokens& tokens, std::int64_t token, int head, bool exists) {
  LaneRow<Element, kDim> row;
  const auto* from = reinterpret_cast<const uint4*>(static_cast<const Element*>(tokens.data) + token * tokens.token_stride +
                                                    head * tokens.head_stride) + threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < RowLayout<Element, kDim>::kPieces; ++i) row.piece[i] = exists ? __ldg(from + 4 * i) : make_uint4(0, 0, 0, 0);
  return row;
}

template <class Element>
__device__ inline void multiply_piece(float (&scores)[4], const uint4& upper, const uint4& lower, const uint4& other) {
  sm80::multiply_add(scores, sm80::FragmentA<Element>{{upper.x, lower.x, upper.y, lower.y}}, sm80::FragmentB<Element>{{other.x, other.y}});
  sm80::multiply_add(scores, sm80::FragmentA<Element>{{upper.z, lower.z, upper.w, lower.w}}, sm80::FragmentB<Element>{{other.z, other.w}});
}

template <>
__device__ inline void multiply_piece<float>(float (&scores)[4], const uint4& upper, const uint4& lower, const uint4& other) {
  const auto f = [](std::uint32_t bits) { return __uint_as_float(bits); };
  sm80::multiply_add(scores, sm80::FragmentA<float>{{f(upper.x), f(lower.x), f(upper.y), f(lower.y), f(upper.z), f(lower.z), f(upper.w),
                                                     f(lower.w)}},
                     sm80::FragmentB<float>{{f(other.x), f(other.y), f(other.z), f(other.w)}});
}

// Sums of the lane's two own tokens: rows lane / 4 and lane / 4 + 8 of the product.
template <Mode kMode>
struct Sums {
  float total[2] = {0.f, 0.f};
  float maximum[2] = {kNoMaximum, kNoMaximum};      // kLse: total is relative to it

  // Two scores of one own token; terms: of the other tokens, 2c and 2c + 1. own_bias: of the own token.
  __device__ void add(int row, float own_bias, float scale_log2, const float (&scores)[2], const bool (&seen)[2], const Term (&terms)[2]) {
    float x[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      x[i] = fmaf(scores[i], scale_log2, terms[i].bias);
      if (kMode == Mode::kColumn) x[i] += own_bias;
      x[i] = seen[i] ? x[i] : kHidden;
    }
    if (kMode == Mode::kLse) {
      const float before = maximum[row];
      maximum[row] = fmaxf(before, fmaxf(x[0], x[1]));
      total[row] = total[row] * ptx::exp2_approximate(before - maximum[row]) + ptx::exp2_approximate(x[0] - maximum[row]) +
                   ptx::exp2_approximate(x[1] - maximum[row]);
    } else {
#pragma unroll
      for (int i = 0; i < 2; ++i) total[row] = fmaf(ptx::exp2_approximate(x[i]), terms[i].weight, total[row]);
    }
  }

  __device__ void merge(int row, float other_maximum, float other_total) {
    const float before = maximum[row];
    maximum[row] = fmaxf(before, other_maximum);
    total[row] = total[row] * ptx::exp2_approximate(before - maximum[row]) +
                 other_total * ptx::exp2_approximate(other_maximum - maximum[row]);
  }

  // Over the four lanes that share the own tokens.
  __device__ void reduce() {
#pragma unroll
    for (int row = 0; row < 2; ++row) {
#pragma unroll
      for (int step = 1; step < 4; step *= 2) {
        const float other_total = __shfl_xor_sync(~0u, total[row], step), other_maximum = __shfl_xor_sync(~0u, maximum[row], step);
        if (kMode == Mode::kLse) merge(row, other_maximum, other_total);
        else total[row] += other_total;
      }
    }
  }

  __device__ float lse(int row) const { return (maximum[row] + log2f(total[row])) * kLn2; }
};

}  // namespace fovea::kernels::analysis
