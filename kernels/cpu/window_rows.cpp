// Compiles the kernels of window_rows.h once for each instruction set and picks the best that the machine has.
#include "kernels/cpu/window_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/window_rows.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/cpu/simd/window_rows-inl.h"

#if HWY_ONCE
namespace fovea::kernels::cpu {

HWY_EXPORT(pack_columns);
HWY_EXPORT(window_scores);
HWY_EXPORT(window_weights);
HWY_EXPORT(window_weights_alone);
HWY_EXPORT(scale_lanes);
HWY_EXPORT(weighted_sums);
HWY_EXPORT(fuse_lanes);
HWY_EXPORT(window_dot);
HWY_EXPORT(window_spread);

void pack_columns(const TokenColumns& from, float* target, std::int64_t stride) {
  HWY_DYNAMIC_DISPATCH(pack_columns)(from, target, stride);
}

void window_scores(const WindowRows& window, float* scores) { HWY_DYNAMIC_DISPATCH(window_scores)(window, scores); }

void window_weights(float* scores, std::int64_t count, RowSums& sums) { HWY_DYNAMIC_DISPATCH(window_weights)(scores, count, sums); }

void window_weights_alone(float* scores, std::int64_t count, RowSums& sums) {
  HWY_DYNAMIC_DISPATCH(window_weights_alone)(scores, count, sums);
}

void scale_lanes(float* values, std::int64_t count, const float* factors) { HWY_DYNAMIC_DISPATCH(scale_lanes)(values, count, factors); }

void weighted_sums(const float* weights, const double* numbers, std::int64_t count, double* sums) {
  HWY_DYNAMIC_DISPATCH(weighted_sums)(weights, numbers, count, sums);
}

void fuse_lanes(const LaneFusionMap& how, const float* weights, float* fused) { HWY_DYNAMIC_DISPATCH(fuse_lanes)(how, weights, fused); }

void window_dot(const WindowPlane& window, const float* weights, const float* plane, const float* global_numbers, double* sums) {
  HWY_DYNAMIC_DISPATCH(window_dot)(window, weights, plane, global_numbers, sums);
}

void window_spread(const WindowPlane& window, const float* weights, const float* factors, float* plane, double* globals) {
  HWY_DYNAMIC_DISPATCH(window_spread)(window, weights, factors, plane, globals);
}

}  // namespace fovea::kernels::cpu
#endif  // HWY_ONCE
