// The two matrix products of attention over one tile, and exp2. A vector holds one number of each of the tile's centre tokens; the
// other side's tokens come from panels, one scalar broadcast a multiply-add, so that nothing but the tile itself is ever transposed.
#if defined(FOVEA_KERNELS_CPU_SIMD_MATRIX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_MATRIX_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_MATRIX_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_MATRIX_INL_H_
#endif

#include "kernels/cpu/simd/tokens-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

// AVX-512 has 32 registers, the others 16.
#if HWY_TARGET <= HWY_AVX3
constexpr std::size_t kScoreRows = 24, kDepthRows = 16;
#else
constexpr std::size_t kScoreRows = 12, kDepthRows = 8;
#endif

// scores[t][lane] = column_bias[t][lane] + row_bias[lane] + sum over depth of tokens[t][depth] * centre[depth][lane].
// Returns the maximum of the scores.
struct ScoreRows {
  const float* tokens;        // panels, at the first token
  std::size_t capacity, padded;
  const float* centre;        // [padded][lanes]
  const float* column_bias;   // [tokens][lanes], or nullptr: no bias at all
  const float* row_bias;      // [lanes]
  float* scores;              // [tokens][lanes]
};

template <std::size_t kTokens>
HWY_INLINE FloatVector score_rows(const ScoreRows& rows) {
  const FloatTag tag;
  FloatVector accumulator[kTokens];
  if (rows.column_bias) {
    const FloatVector row_bias = hn::Load(tag, rows.row_bias);
#pragma GCC unroll 32
    for (std::size_t t = 0; t < kTokens; ++t) accumulator[t] = hn::Add(row_bias, hn::Load(tag, rows.column_bias + t * kLanes));
  } else {
#pragma GCC unroll 32
    for (std::size_t t = 0; t < kTokens; ++t) accumulator[t] = hn::Zero(tag);
  }
  const float* HWY_RESTRICT tokens = rows.tokens;
  const float* HWY_RESTRICT centre = rows.centre;
  for (std::size_t d = 0; d < rows.padded; d += kPanel, tokens += rows.capacity * kPanel, centre += kPanel * kLanes) {
    for (std::size_t i = 0; i < kPanel; ++i) {
      const FloatVector column = hn::Load(tag, centre + i * kLanes);
#pragma GCC unroll 32
      for (std::size_t t = 0; t < kTokens; ++t) {
        accumulator[t] = hn::MulAdd(hn::Set(tag, tokens[t * kPanel + i]), column, accumulator[t]);
      }
    }
  }
  FloatVector maximum = accumulator[0];
#pragma GCC unroll 32
  for (std::size_t t = 0; t < kTokens; ++t) {
    hn::Store(accumulator[t], tag, rows.scores + t * kLanes);
    maximum = hn::Max(maximum, accumulator[t]);
  }
  return maximum;
}

// accumulator[i][lane] += sum over tokens of values[token][i] * weights[token][lane], for kDepthRows depths of one panel.
HWY_INLINE void add_weighted(const float* HWY_RESTRICT values, const float* HWY_RESTRICT weights, std::size_t tokens,
                             FloatVector (&accumulator)[kDepthRows]) {
  const FloatTag tag;
  for (std::size_t t = 0; t < tokens; ++t) {
    const FloatVector weight = hn::Load(tag, weights + t * kLanes);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kDepthRows; ++i) {
      accumulator[i] = hn::MulAdd(hn::Set(tag, values[t * kPanel + i]), weight, accumulator[i]);
    }
  }
}

// 2^x for x <= 0, relative error below 1e-7; exactly 1 at 0 and exactly 0 below -126.5.
HWY_INLINE FloatVector exp2_nonpositive(FloatVector x) {
  const FloatTag tag;
  const hn::RebindToSigned<FloatTag> int_tag;
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits; the shift drops all others.
  const FloatVector magic = hn::Set(tag, 12582912.0f);
  const FloatVector clamped = hn::Max(x, hn::Set(tag, -127.0f));
  const FloatVector shifted = hn::Add(clamped, magic);
  const FloatVector fraction = hn::Sub(clamped, hn::Sub(shifted, magic));   // in [-0.5, 0.5]
  const auto exponent = hn::ShiftLeft<23>(hn::Add(hn::BitCast(int_tag, shifted), hn::Set(int_tag, 127)));
  // Chebyshev fit of (2^f - 1) / f on [-0.5, 0.5], error 8e-9.
  FloatVector power = hn::Set(tag, 1.545316295e-4f);
  power = hn::MulAdd(power, fraction, hn::Set(tag, 1.339086336e-3f));
  power = hn::MulAdd(power, fraction, hn::Set(tag, 9.618082557e-3f));
  power = hn::MulAdd(power, fraction, hn::Set(tag, 5.550357114e-2f));
  power = hn::MulAdd(power, fraction, hn::Set(tag, 2.402265076e-1f));
  power = hn::MulAdd(power, fraction, hn::Set(tag, 6.93147188e-1f));
  power = hn::MulAdd(power, fraction, hn::Set(tag, 1.0f));
  return hn::Mul(power, hn::BitCast(tag, exponent));
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
