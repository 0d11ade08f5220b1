// Numbers in vectors: exponentials, and the way between float32 and pairs of bfloat16.
#pragma once

#include <cstddef>

#include "kernels/cpu/bfloat16/target.h"

namespace fovea::kernels::cpu::bfloat16 {

FOVEA_BEGIN_AVX512_BF16

// 2^x where the mask says so, else 0; relative error below 1e-7. Exactly 1 at 0; 0 and infinity where float32 ends.
inline __m512 exp2_masked(__mmask16 mask, __m512 x) {
  const __m512 fraction = _mm512_reduce_ps(x, 1);   // x - floor(x)
  // Minimax fit of (2^f - 1) / f on [0, 1).
  __m512 power = _mm512_set1_ps(1.86713008e-3f);
  power = _mm512_fmadd_ps(power, fraction, _mm512_set1_ps(9.01703028e-3f));
  power = _mm512_fmadd_ps(power, fraction, _mm512_set1_ps(5.57999131e-2f));
  power = _mm512_fmadd_ps(power, fraction, _mm512_set1_ps(2.40164450e-1f));
  power = _mm512_fmadd_ps(power, fraction, _mm512_set1_ps(6.93151312e-1f));
  power = _mm512_fmadd_ps(power, fraction, _mm512_set1_ps(1.0f));
  return _mm512_maskz_scalef_ps(mask, power, x);    // times 2^floor(x)
}

// Pairs (first[i], second[i]) of bfloat16, rounded to nearest, ties away from zero: half the instructions of ties to even.
inline __m512i pairs_of(__m512 first, __m512 second) {
  const __m512i half = _mm512_set1_epi32(0x8000);
  const __m512i low = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(first), half), 16);
  const __m512i high = _mm512_add_epi32(_mm512_castps_si512(second), half);
  return _mm512_mask_blend_epi16(0xAAAAAAAAu, low, high);
}

// The same, ties to even, as torch rounds; a NaN stays one.
inline __m512i pairs_to_even(__m512 first, __m512 second) {
  const auto wide = [](__m512 numbers) {
    return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(numbers)));
  };
  return _mm512_or_si512(wide(first), _mm512_slli_epi32(wide(second), 16));
}

// Sets this thread's arithmetic to give 0 instead of denormal numbers, which cost a hundred cycles each.
class FlushDenormals {
 public:
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040u); }
  ~FlushDenormals() { _mm_setcsr(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned before_;
};

FOVEA_END_AVX512_BF16

}  // namespace fovea::kernels::cpu::bfloat16
