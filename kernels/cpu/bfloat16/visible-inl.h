// Which of 32 packed tokens the queries of a tile see, as one word a query.
#pragma once

#include "kernels/cpu/bfloat16/strip_tokens.h"
#include "kernels/cpu/bfloat16/target.h"

namespace fovea::kernels::cpu::bfloat16 {

FOVEA_BEGIN_AVX512_BF16

inline void visible_in_slab(const StripTokens& tokens, const StripTile& tile, std::size_t slab, std::uint32_t* words) {
  const auto first = static_cast<std::int64_t>(slab * kSlab);
  if (slab * kSlab >= tokens.halo_end) {
    const std::int64_t left = tokens.shape.global_tokens - (first - static_cast<std::int64_t>(tokens.halo_end));
    const std::uint32_t word = left >= 32 ? ~0u : (1u << left) - 1;
    for (int query = 0; query < kTileQueries; ++query) words[query] = tile.query[query] < 0 ? 0 : word;
    return;
  }
  const __m512i zero = _mm512_setzero_si512(), all = _mm512_set1_epi32(-1);
  const __m512i slab_begin = _mm512_set1_epi32(static_cast<int>(first)), slab_end = _mm512_set1_epi32(static_cast<int>(first + 32));
  for (int query = 0; query < kTileQueries; query += 16) {
    // Shifts by 32 and more give zero.
    const __m512i hidden_before = _mm512_sub_epi32(_mm512_loadu_si512(tile.row_begin + query), slab_begin);
    const __m512i hidden_after = _mm512_sub_epi32(slab_end, _mm512_loadu_si512(tile.row_end + query));
    const __m512i rows = _mm512_and_si512(_mm512_sllv_epi32(all, _mm512_max_epi32(hidden_before, zero)),
                                          _mm512_srlv_epi32(all, _mm512_max_epi32(hidden_after, zero)));
    _mm512_store_si512(words + query, _mm512_and_si512(rows, _mm512_load_si512(tokens.columns[slab] + query)));
  }
}

FOVEA_END_AVX512_BF16

}  // namespace fovea::kernels::cpu::bfloat16
