// Rows of attention in half precision: see kernels/cpu/half_rows.h. A vector holds one number of each of neighbouring queries.
#if defined(FOVEA_KERNELS_CPU_SIMD_HALF_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_HALF_ROWS_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_HALF_ROWS_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_HALF_ROWS_INL_H_
#endif

#include <algorithm>

#include "kernels/cpu/half_rows.h"
#include "kernels/cpu/simd/tokens-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

using HalfTag = hn::Rebind<hwy::float16_t, FloatTag>;
static_assert(kRowLanes % kLanes == 0, "a block of lanes is whole vectors");

constexpr std::int64_t kTermsInFloat = 32;   // so many at a time, then float64

HWY_INLINE FloatVector load_halves(const Half* from) {
  return hn::PromoteTo(FloatTag(), hn::LoadU(HalfTag(), reinterpret_cast<const hwy::float16_t*>(from)));
}

// To the 11 bits of a half, to nearest even. Where Highway converts without an instruction for it, it cuts off.
HWY_INLINE FloatVector to_half_bits(FloatVector value) {
#if HWY_TARGET > HWY_AVX2
  const hn::Rebind<std::uint32_t, FloatTag> tag;
  const auto bits = hn::BitCast(tag, value), odd = hn::And(hn::ShiftRight<13>(bits), hn::Set(tag, 1u));
  return hn::BitCast(FloatTag(), hn::And(hn::Add(bits, hn::Add(odd, hn::Set(tag, 0xFFFu))), hn::Set(tag, ~0x1FFFu)));
#else
  return value;
#endif
}

// What is stored, as it will be read.
HWY_INLINE FloatVector store_halves(FloatVector value, Half* to) {
  const auto rounded = hn::DemoteTo(HalfTag(), to_half_bits(value));
  hn::StoreU(rounded, HalfTag(), reinterpret_cast<hwy::float16_t*>(to));
  return hn::PromoteTo(FloatTag(), rounded);
}

// Sums of many terms of kLanes rows.
class LaneSums {
 public:
  HWY_INLINE LaneSums() : part_(hn::Zero(FloatTag())) {}
  HWY_INLINE void add(FloatVector term) {
    part_ = hn::Add(part_, term);
    if (++terms_ == kTermsInFloat) flush();
  }
  HWY_INLINE void multiply_add(FloatVector a, FloatVector b) {
    part_ = hn::MulAdd(a, b, part_);
    if (++terms_ == kTermsInFloat) flush();
  }
  HWY_INLINE const double* totals() {
    flush();
    return totals_;
  }

 private:
  HWY_INLINE void flush() {
    HWY_ALIGN float buffer[kLanes];
    hn::Store(part_, FloatTag(), buffer);
    for (std::size_t lane = 0; lane < kLanes; ++lane) totals_[lane] += buffer[lane];
    part_ = hn::Zero(FloatTag());
    terms_ = 0;
  }
  FloatVector part_;
  std::int64_t terms_ = 0;
  double totals_[kLanes] = {};
};

HWY_INLINE void store_inverse(LaneSums& sums, float* inverse_sums) {
  const double* totals = sums.totals();
  for (std::size_t lane = 0; lane < kLanes; ++lane) inverse_sums[lane] = totals[lane] > 0 ? static_cast<float>(1 / totals[lane]) : 0.0f;
}

void round_rows(const HalfRows& from, Half* weights, float* inverse_sums) {
  const FloatTag tag;
  for (std::size_t v = 0; v < kRowLanes; v += kLanes) {
    const FloatVector factor = hn::Mul(hn::LoadU(tag, from.factors + v), hn::Set(tag, kHalfUnit)), unit = hn::Set(tag, kHalfUnit);
    LaneSums sums;
    for (std::int64_t key = 0; key < from.count; ++key) {
      const FloatVector scaled = hn::Min(hn::Mul(hn::LoadU(tag, from.rows + key * kRowLanes + v), factor), unit);
      sums.add(store_halves(scaled, weights + from.places[key] * kRowLanes + v));
    }
    store_inverse(sums, inverse_sums + v);
  }
}

template <LaneFusion kFusion>
HWY_INLINE void fuse_rows_by(const HalfFusion& how, Half* weights, float* inverse_sums) {
  const FloatTag tag;
  for (std::size_t v = 0; v < kRowLanes; v += kLanes) {
    const FloatVector share = hn::Set(tag, 1.0f / static_cast<float>(how.head_count)), unit = hn::Set(tag, kHalfUnit);
    LaneSums sums;
    const std::int32_t* sources = how.sources;
    for (std::int64_t slot = 0; slot < how.slots; ++slot, sources += how.head_count) {
      FloatVector fused = kFusion == LaneFusion::kMinimum ? hn::Set(tag, 1.0f) : hn::Zero(tag);
      for (std::int64_t head = 0; head < how.head_count; ++head) {
        const HalfBlock& block = how.heads[head];
        const FloatVector scale = hn::LoadU(tag, block.inverse_sums + v);
        const FloatVector weight = sources[head] < 0 ? hn::Zero(tag) : load_halves(block.weights + sources[head] * kRowLanes + v);
        if constexpr (kFusion == LaneFusion::kAdd) fused = hn::MulAdd(weight, scale, fused);
        if constexpr (kFusion == LaneFusion::kMaximum) fused = hn::Max(hn::Mul(weight, scale), fused);
        if constexpr (kFusion == LaneFusion::kMinimum) fused = hn::Min(hn::Mul(weight, scale), fused);
      }
      if constexpr (kFusion == LaneFusion::kAdd) fused = hn::Mul(fused, share);
      sums.add(store_halves(hn::Min(hn::Mul(fused, unit), unit), weights + slot * kRowLanes + v));
    }
    store_inverse(sums, inverse_sums + v);
  }
}

void fuse_rows(const HalfFusion& how, Half* weights, float* inverse_sums) {
  switch (how.fusion) {
    case LaneFusion::kAdd: return fuse_rows_by<LaneFusion::kAdd>(how, weights, inverse_sums);
    case LaneFusion::kMaximum: return fuse_rows_by<LaneFusion::kMaximum>(how, weights, inverse_sums);
    case LaneFusion::kMinimum: return fuse_rows_by<LaneFusion::kMinimum>(how, weights, inverse_sums);
  }
}

void spread_rows(const HalfPlane& place, const HalfBlock& block, const float* factors, float* plane, double* globals) {
  const FloatTag tag;
  for (std::size_t v = 0; v < kRowLanes; v += kLanes) {
    const FloatVector factor = hn::Mul(hn::LoadU(tag, factors + v), hn::LoadU(tag, block.inverse_sums + v));
    const Half* weight = block.weights + v;
    for (std::int64_t g = 0; g < place.globals; ++g, weight += kRowLanes) {
      HWY_ALIGN float products[kLanes];
      hn::Store(hn::Mul(load_halves(weight), factor), tag, products);
      for (const float product : products) globals[g] += product;
    }
    const std::int64_t keys = place.slots - place.globals;
    for (std::int64_t key = 0; key < keys; ++key, weight += kRowLanes) {
      float* target = plane + place.displacements[key] + v;
      hn::StoreU(hn::MulAdd(load_halves(weight), factor, hn::LoadU(tag, target)), tag, target);
    }
  }
}

void dot_rows(const HalfPlane& place, const HalfBlock& block, const float* plane, const float* global_numbers, double* sums) {
  const FloatTag tag;
  for (std::size_t v = 0; v < kRowLanes; v += kLanes) {
    const Half* weight = block.weights + v;
    LaneSums total;
    for (std::int64_t g = 0; g < place.globals; ++g, weight += kRowLanes) {
      total.multiply_add(load_halves(weight), hn::Set(tag, global_numbers[g]));
    }
    const std::int64_t keys = place.slots - place.globals;
    for (std::int64_t key = 0; key < keys; ++key, weight += kRowLanes) {
      total.multiply_add(load_halves(weight), hn::LoadU(tag, plane + place.displacements[key] + v));
    }
    const double* totals = total.totals();
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[v + lane] = totals[lane] * block.inverse_sums[v + lane];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
