// Compiles the kernels of half_rows.h once for each instruction set and picks the best that the machine has.
#include "kernels/cpu/half_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/half_rows.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/cpu/simd/half_rows-inl.h"

#if HWY_ONCE
namespace fovea::kernels::cpu {

HWY_EXPORT(round_rows);
HWY_EXPORT(fuse_rows);
HWY_EXPORT(spread_rows);
HWY_EXPORT(dot_rows);

void round_rows(const HalfRows& from, Half* weights, float* inverse_sums) {
  HWY_DYNAMIC_DISPATCH(round_rows)(from, weights, inverse_sums);
}

void fuse_rows(const HalfFusion& how, Half* weights, float* inverse_sums) { HWY_DYNAMIC_DISPATCH(fuse_rows)(how, weights, inverse_sums); }

void spread_rows(const HalfPlane& place, const HalfBlock& block, const float* factors, float* plane, double* globals) {
  HWY_DYNAMIC_DISPATCH(spread_rows)(place, block, factors, plane, globals);
}

void dot_rows(const HalfPlane& place, const HalfBlock& block, const float* plane, const float* global_numbers, double* sums) {
  HWY_DYNAMIC_DISPATCH(dot_rows)(place, block, plane, global_numbers, sums);
}

}  // namespace fovea::kernels::cpu
#endif  // HWY_ONCE
