// Tokens between their tensors (any dtype, any stride) and the float32 layouts that the matrix kernels read.
//
// Two layouts. Panels: tokens in pieces of kPanel depths, element (token, depth) at ((depth / kPanel) * capacity + token) * kPanel +
// depth % kPanel, so that neighbouring tokens are a fixed distance apart whatever head_dim is. Columns: [depth][lane], one lane a
// token. The depth is padded with zeros to a multiple of kPanel.
#if defined(FOVEA_KERNELS_CPU_SIMD_TOKENS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_TOKENS_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_TOKENS_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_TOKENS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstring>

#include "kernels/attention_params.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;
constexpr std::size_t kLanes = HWY_LANES(float);
constexpr std::size_t kPanel = 16;

HWY_INLINE std::size_t padded_depth(int head_dim) { return hwy::RoundUpTo(static_cast<std::size_t>(head_dim), kPanel); }

// Elements of 16 bits travel as their bits.
struct BFloat16 { std::uint16_t bits; };
struct Float16 { std::uint16_t bits; };

// Calls body with a null pointer of the element type.
template <class Body>
HWY_INLINE void with_element_type(DataType dtype, const Body& body) {
  switch (dtype) {
    case DataType::kFloat32: return body(static_cast<float*>(nullptr));
    case DataType::kBFloat16: return body(static_cast<BFloat16*>(nullptr));
    case DataType::kFloat16: return body(static_cast<Float16*>(nullptr));
  }
}

HWY_INLINE FloatVector load_as_float(const float* from) { return hn::LoadU(FloatTag(), from); }

HWY_INLINE FloatVector load_as_float(const BFloat16* from) {
  const hn::Rebind<std::uint32_t, FloatTag> wide;
  const hn::Rebind<std::uint16_t, FloatTag> narrow;
  const auto bits = hn::PromoteTo(wide, hn::LoadU(narrow, reinterpret_cast<const std::uint16_t*>(from)));
  return hn::BitCast(FloatTag(), hn::ShiftLeft<16>(bits));
}

HWY_INLINE FloatVector load_as_float(const Float16* from) {
  const hn::Rebind<hwy::float16_t, FloatTag> narrow;
  return hn::PromoteTo(FloatTag(), hn::LoadU(narrow, reinterpret_cast<const hwy::float16_t*>(from)));
}

HWY_INLINE void store_from_float(FloatVector value, float* to) { hn::StoreU(value, FloatTag(), to); }

// Rounds to nearest even; a NaN stays one.
HWY_INLINE void store_from_float(FloatVector value, BFloat16* to) {
  const hn::Rebind<std::uint32_t, FloatTag> wide;
  const hn::Rebind<std::uint16_t, FloatTag> narrow;
  const auto bits = hn::BitCast(wide, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(wide, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(wide, 0x7FFF))));
  const auto nan = hn::RebindMask(wide, hn::IsNaN(value));
  hn::StoreU(hn::TruncateTo(narrow, hn::IfThenElse(nan, hn::Set(wide, 0x7FC0), rounded)), narrow, reinterpret_cast<std::uint16_t*>(to));
}

HWY_INLINE void store_from_float(FloatVector value, Float16* to) {
  const hn::Rebind<hwy::float16_t, FloatTag> narrow;
  hn::StoreU(hn::DemoteTo(narrow, value), narrow, reinterpret_cast<hwy::float16_t*>(to));
}

// One token's row to float32, its padding zero.
template <class Element>
HWY_INLINE void load_row(const Element* from, std::size_t depth, std::size_t padded, float* to) {
  std::size_t d = 0;
  for (; d + kLanes <= depth; d += kLanes) hn::StoreU(load_as_float(from + d), FloatTag(), to + d);
  if (d < depth) {
    Element tail[kLanes] = {};
    std::memcpy(tail, from + d, (depth - d) * sizeof(Element));
    hn::StoreU(load_as_float(tail), FloatTag(), to + d);
    d += kLanes;
  }
  for (; d < padded; d += kLanes) hn::StoreU(hn::Zero(FloatTag()), FloatTag(), to + d);
}

template <class Element>
HWY_INLINE void store_row(const float* from, std::size_t depth, Element* to) {
  std::size_t d = 0;
  for (; d + kLanes <= depth; d += kLanes) store_from_float(hn::LoadU(FloatTag(), from + d), to + d);
  if (d < depth) {
    Element tail[kLanes];
    store_from_float(hn::LoadU(FloatTag(), from + d), tail);
    std::memcpy(to + d, tail, (depth - d) * sizeof(Element));
  }
}

// Packs tokens that lie token_stride elements apart as the tokens [first, first + count) of panels.
struct PanelTarget {
  float* panels;
  std::size_t capacity, first;
};

template <class Element>
HWY_INLINE void pack_tokens(const Element* from, std::int64_t token_stride, std::size_t count, std::size_t depth, const PanelTarget& to) {
  const FloatTag tag;
  const std::size_t whole_panels = depth / kPanel;
  for (std::size_t token = 0; token < count; ++token) {
    const Element* row = from + static_cast<std::int64_t>(token) * token_stride;
    float* panel = to.panels + (to.first + token) * kPanel;
    for (std::size_t p = 0; p < whole_panels; ++p, panel += to.capacity * kPanel) {
      for (std::size_t d = 0; d < kPanel; d += kLanes) hn::Store(load_as_float(row + p * kPanel + d), tag, panel + d);
    }
    if (depth % kPanel) load_row(row + whole_panels * kPanel, depth % kPanel, kPanel, panel);
  }
}

// Tokens that do not exist but may be read: zeros, so that a hidden score cannot become NaN.
HWY_INLINE void clear_tokens(std::size_t count, std::size_t padded, const PanelTarget& to) {
  for (std::size_t d = 0; d < padded; d += kPanel) {
    std::memset(to.panels + (d / kPanel * to.capacity + to.first) * kPanel, 0, count * kPanel * sizeof(float));
  }
}

// to[column][row] = from[row][column]; rows and columns are multiples of 4 or of kLanes, whichever is smaller.
HWY_INLINE void transpose(const float* HWY_RESTRICT from, std::size_t rows, std::size_t columns, float* HWY_RESTRICT to) {
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
  }
#else
  const hn::FixedTag<float, 4> four;
  const hn::Repartition<double, decltype(four)> two;
  for (std::size_t r = 0; r < rows; r += 4) {
    for (std::size_t c = 0; c < columns; c += 4) {
      const float* block = from + r * columns + c;
      const auto row0 = hn::LoadU(four, block), row1 = hn::LoadU(four, block + columns);
      const auto row2 = hn::LoadU(four, block + 2 * columns), row3 = hn::LoadU(four, block + 3 * columns);
      const auto low01 = hn::BitCast(two, hn::InterleaveLower(four, row0, row1));
      const auto low23 = hn::BitCast(two, hn::InterleaveLower(four, row2, row3));
      const auto high01 = hn::BitCast(two, hn::InterleaveUpper(four, row0, row1));
      const auto high23 = hn::BitCast(two, hn::InterleaveUpper(four, row2, row3));
      float* out = to + c * rows + r;
      hn::StoreU(hn::BitCast(four, hn::InterleaveLower(two, low01, low23)), four, out);
      hn::StoreU(hn::BitCast(four, hn::InterleaveUpper(two, low01, low23)), four, out + rows);
      hn::StoreU(hn::BitCast(four, hn::InterleaveLower(two, high01, high23)), four, out + 2 * rows);
      hn::StoreU(hn::BitCast(four, hn::InterleaveUpper(two, high01, high23)), four, out + 3 * rows);
    }
  }
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
