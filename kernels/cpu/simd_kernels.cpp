// Compiles the kernels once for each instruction set and picks the best that the machine has.
#include "kernels/cpu/simd_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/simd_kernels.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/cpu/simd/backward_globals-inl.h"
#include "kernels/cpu/simd/forward-inl.h"
#include "kernels/cpu/simd/peak-inl.h"

#if HWY_ONCE
namespace fovea::kernels::cpu {

HWY_EXPORT(lanes);
HWY_EXPORT(target_name);
HWY_EXPORT(run_multiply_adds);
HWY_EXPORT(forward_block_floats);
HWY_EXPORT(forward_block);
HWY_EXPORT(global_partial_floats);
HWY_EXPORT(global_slice_floats);
HWY_EXPORT(forward_global_slice);
HWY_EXPORT(merge_global_slices);
HWY_EXPORT(compute_delta);
HWY_EXPORT(backward_block_floats);
HWY_EXPORT(backward_block);
HWY_EXPORT(global_gradient_floats);
HWY_EXPORT(backward_slice_floats);
HWY_EXPORT(backward_global_slice);
HWY_EXPORT(merge_global_gradients);

const char* simd_target_name() { return HWY_DYNAMIC_DISPATCH(target_name)(); }

int simd_lanes() { return static_cast<int>(HWY_DYNAMIC_DISPATCH(lanes)()); }

double run_multiply_adds() { return HWY_DYNAMIC_DISPATCH(run_multiply_adds)(); }

void compute_delta(const AttentionBackward& parameters, const GlobalSlice& slice, float* delta) {
  HWY_DYNAMIC_DISPATCH(compute_delta)(parameters, slice, delta);
}

// One function pointer a kernel; which instruction set runs is looked up at every call, because tests change it.
const TaskKernels& simd_kernels() {
  static const auto plan = [](const AttentionShape& shape) { return plan_blocks(shape, simd_lanes()); };
  using Shape = const AttentionShape&;
  using Forward = const AttentionForward&;
  using Backward = const AttentionBackward&;
  static const TaskKernels kernels{
      .forward = {.plan = plan,
                  .block_floats = [](Shape shape, std::int64_t halo) { return HWY_DYNAMIC_DISPATCH(forward_block_floats)(shape, halo); },
                  .slice_floats = [](Shape shape) { return HWY_DYNAMIC_DISPATCH(global_slice_floats)(shape); },
                  .partial_floats = [](Shape shape) { return HWY_DYNAMIC_DISPATCH(global_partial_floats)(shape); }},
      .backward = {.plan = plan,
                   .block_floats = [](Shape shape, std::int64_t halo) { return HWY_DYNAMIC_DISPATCH(backward_block_floats)(shape, halo); },
                   .slice_floats = [](Shape shape) { return HWY_DYNAMIC_DISPATCH(backward_slice_floats)(shape); },
                   .partial_floats = [](Shape shape) { return HWY_DYNAMIC_DISPATCH(global_gradient_floats)(shape); }},
      .forward_block = [](Forward parameters, const BlockTask& task, float* scratch) {
        HWY_DYNAMIC_DISPATCH(forward_block)(parameters, task, scratch);
      },
      .forward_slice = [](Forward parameters, const GlobalSlice& slice, float* scratch, float* partial) {
        HWY_DYNAMIC_DISPATCH(forward_global_slice)(parameters, slice, scratch, partial);
      },
      .merge_forward = [](Forward parameters, const GlobalMerge& merge, const float* partials, float* scratch) {
        HWY_DYNAMIC_DISPATCH(merge_global_slices)(parameters, merge, partials, scratch);
      },
      .backward_block = [](Backward parameters, const float* delta, const BlockTask& task, float* scratch) {
        HWY_DYNAMIC_DISPATCH(backward_block)(parameters, delta, task, scratch);
      },
      .backward_slice = [](Backward parameters, const float* delta, const GlobalSlice& slice, float* scratch, float* partial) {
        HWY_DYNAMIC_DISPATCH(backward_global_slice)(parameters, delta, slice, scratch, partial);
      },
      .merge_backward = [](Backward parameters, const GlobalMerge& merge, const float* partials, float* scratch) {
        HWY_DYNAMIC_DISPATCH(merge_global_gradients)(parameters, merge, partials, scratch);
      }};
  return kernels;
}

}  // namespace fovea::kernels::cpu
#endif  // HWY_ONCE
