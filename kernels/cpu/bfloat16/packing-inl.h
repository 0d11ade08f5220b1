// From rows of tokens to the right operands of multiply-inl.h, 32 tokens at a time.
//
//   across tokens   summed over depth:  S = Q Kt.  Tile (16 tokens, 32 depths): pair i of the depths in row i, a token a column.
//   along tokens    summed over tokens: O = P V.   Tile (32 tokens, half of 32 depths): row i holds the pairs of tokens i and i + 16,
//                   columns the even depths in the first tile and the odd ones in the second. Then neither needs a shuffle: weights of
//                   tokens 0-15 and of tokens 16-31 are two vectors, and so are even and odd results, and pairs_of() joins both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/bfloat16/multiply-inl.h"

namespace fovea::kernels::cpu::bfloat16 {

using Bits = std::uint16_t;   // a bfloat16

// Bytes of 32 packed tokens, in either layout.
inline std::size_t packed_bytes(std::size_t padded_depth) { return kSide * padded_depth * sizeof(Bits); }

inline RightOperand across_tokens(const std::byte* packed, std::size_t padded_depth) {
  return {packed, kOperandTile, packed_bytes(padded_depth) / 2};
}

// depth_block: which 32 columns of the result.
inline RightOperand along_tokens(const std::byte* packed, std::size_t padded_depth, std::size_t depth_block) {
  return {packed + depth_block * 2 * kOperandTile, packed_bytes(padded_depth), kOperandTile};
}

FOVEA_BEGIN_AVX512_BF16

// rows: 32 pointers, each to padded_depth numbers.
inline void pack_across(const Bits* const* rows, std::size_t padded_depth, std::byte* packed) {
  for (std::size_t half = 0; half < kSide; half += kPairs) {
    for (std::size_t d = 0; d < padded_depth; d += 8, packed += 4 * 64) {
      // Four pairs of 16 tokens: a 4 x 4 transposition in each quarter, whose rows are tokens 4 apart.
      __m512i quads[4];
#pragma GCC unroll 4
      for (std::size_t i = 0; i < 4; ++i) {
        const auto load = [&](std::size_t token) {
          return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[half + token] + d));
        };
        quads[i] = _mm512_castsi128_si512(load(i));
        quads[i] = _mm512_mask_broadcast_i32x4(quads[i], 0x00F0, load(4 + i));
        quads[i] = _mm512_mask_broadcast_i32x4(quads[i], 0x0F00, load(8 + i));
        quads[i] = _mm512_mask_broadcast_i32x4(quads[i], 0xF000, load(12 + i));
      }
      const __m512i low01 = _mm512_unpacklo_epi32(quads[0], quads[1]), low23 = _mm512_unpacklo_epi32(quads[2], quads[3]);
      const __m512i high01 = _mm512_unpackhi_epi32(quads[0], quads[1]), high23 = _mm512_unpackhi_epi32(quads[2], quads[3]);
      _mm512_store_si512(packed, _mm512_unpacklo_epi64(low01, low23));
      _mm512_store_si512(packed + 64, _mm512_unpackhi_epi64(low01, low23));
      _mm512_store_si512(packed + 128, _mm512_unpacklo_epi64(high01, high23));
      _mm512_store_si512(packed + 192, _mm512_unpackhi_epi64(high01, high23));
    }
  }
}

inline void pack_along(const Bits* const* rows, std::size_t padded_depth, std::byte* packed) {
  for (std::size_t i = 0; i < kPairs; ++i, packed += 64) {
    for (std::size_t d = 0; d < padded_depth; d += kSide) {
      const __m512i first = _mm512_loadu_si512(rows[i] + d), second = _mm512_loadu_si512(rows[i + kPairs] + d);
      std::byte* even = packed + d / kSide * 2 * kOperandTile;
      _mm512_store_si512(even, _mm512_mask_blend_epi16(0xAAAAAAAAu, first, _mm512_slli_epi32(second, 16)));
      _mm512_store_si512(even + kOperandTile, _mm512_mask_blend_epi16(0xAAAAAAAAu, _mm512_srli_epi32(first, 16), second));
    }
  }
}

FOVEA_END_AVX512_BF16

}  // namespace fovea::kernels::cpu::bfloat16
