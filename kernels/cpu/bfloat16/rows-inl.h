// Rows of tokens between tensors and the kernels: 32 at a time, padded with zeros to whole steps of multiply-inl.h.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/attention_params.h"
#include "kernels/cpu/bfloat16/arena.h"
#include "kernels/cpu/bfloat16/packing-inl.h"
#include "kernels/cpu/bfloat16/vectors-inl.h"

namespace fovea::kernels::cpu::bfloat16 {

inline std::size_t padded_depth(int head_dim) { return (static_cast<std::size_t>(head_dim) + kSide - 1) / kSide * kSide; }

// One head of one image.
struct HeadRows {
  const Bits* first;
  std::int64_t token_stride;
};
struct MutableHeadRows {
  Bits* first;
  std::int64_t token_stride;
};

inline HeadRows head_rows(const ConstView& view, std::int64_t batch, int head) {
  return {static_cast<const Bits*>(view.data) + batch * view.batch_stride + head * view.head_stride, view.token_stride};
}
inline MutableHeadRows head_rows(const MutableView& view, std::int64_t batch, int head) {
  return {static_cast<Bits*>(view.data) + batch * view.batch_stride + head * view.head_stride, view.token_stride};
}

// Pointers to rows that may be read to the padded depth: into the tensor if its rows are that long, else to copies.
class RowReader {
 public:
  RowReader(int head_dim, Arena& arena)
      : depth_(static_cast<std::size_t>(head_dim)), padded_(padded_depth(head_dim)), copies_(arena.take<Bits>(kSide * padded_)),
        zeros_(arena.take<Bits>(padded_)) {}

  void clear() {
    std::memset(copies_, 0, kSide * padded_ * sizeof(Bits));
    std::memset(zeros_, 0, padded_ * sizeof(Bits));
  }

  // tokens: 32 of them, -1 for a row of zeros. The pointers hold until the next call.
  const Bits* const* read(const HeadRows& head, const std::int64_t* tokens) {
    for (std::size_t i = 0; i < kSide; ++i) {
      rows_[i] = tokens[i] < 0 ? zeros_ : head.first + tokens[i] * head.token_stride;
      if (depth_ == padded_ || tokens[i] < 0) continue;
      std::memcpy(copies_ + i * padded_, rows_[i], depth_ * sizeof(Bits));
      rows_[i] = copies_ + i * padded_;
    }
    return rows_;
  }

  // Asks for rows that will be read soon: the hardware does not foresee steps from token to token.
  void prefetch(const HeadRows& head, const std::int64_t* tokens) const {
    for (std::size_t i = 0; i < kSide; ++i) {
      const auto* row = reinterpret_cast<const char*>(head.first + std::max<std::int64_t>(tokens[i], 0) * head.token_stride);
      for (std::size_t byte = 0; byte < depth_ * sizeof(Bits); byte += 64) _mm_prefetch(row + byte, _MM_HINT_T0);
    }
  }

  std::size_t padded() const { return padded_; }

 private:
  std::size_t depth_, padded_;
  Bits* copies_;
  Bits* zeros_;
  const Bits* rows_[kSide];
};

// Copies 32 rows one after the other: a left operand.
inline LeftOperand copy_rows(const Bits* const* rows, std::size_t padded, Bits* to) {
  for (std::size_t i = 0; i < kSide; ++i) std::memcpy(to + i * padded, rows[i], padded * sizeof(Bits));
  return {to, padded * sizeof(Bits)};
}

FOVEA_BEGIN_AVX512_BF16

// Row of a result whose columns are in the order of pack_along, times factor, to a tensor's row.
inline void store_result_row(const float* result, float factor, std::size_t depth, Bits* to) {
  const __m512 scale = _mm512_set1_ps(factor);
  for (std::size_t d = 0; d < depth; d += kSide) {
    const __m512i numbers = pairs_to_even(_mm512_mul_ps(scale, _mm512_load_ps(result + d)),
                                          _mm512_mul_ps(scale, _mm512_load_ps(result + d + kPairs)));
    const std::size_t left = std::min(kSide, depth - d);
    _mm512_mask_storeu_epi16(to + d, static_cast<__mmask32>((std::uint64_t{1} << left) - 1), numbers);
  }
}

FOVEA_END_AVX512_BF16

}  // namespace fovea::kernels::cpu::bfloat16
