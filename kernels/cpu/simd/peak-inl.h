// What the multiply-add units can do at best: the yardstick of benchmarks.
#if defined(FOVEA_KERNELS_CPU_SIMD_PEAK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_PEAK_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_PEAK_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_PEAK_INL_H_
#endif

#include "kernels/cpu/simd/tokens-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

// Runs multiply-adds from register to register, in more chains than two units of five cycles' latency need. Returns their number.
HWY_NOINLINE double run_multiply_adds() {
  const FloatTag tag;
  constexpr int kChains = 12, kRounds = 20000;
  FloatVector chains[kChains];
  for (int i = 0; i < kChains; ++i) chains[i] = hn::Set(tag, 1.0f + static_cast<float>(i));   // or it would see that they are the same
  const FloatVector factor = hn::Set(tag, 0.5f);
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chains[i] = hn::MulAdd(chains[i], factor, factor);
  }
  FloatVector sum = hn::Zero(tag);
  for (const FloatVector& chain : chains) sum = hn::Add(sum, chain);
  [[maybe_unused]] const volatile float kept = hn::GetLane(hn::SumOfLanes(tag, sum));   // or the compiler would leave out the work
  return double{kChains} * kRounds * kLanes;
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
