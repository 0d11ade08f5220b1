// Compiles the kernels once for each instruction set and picks the best that the machine has.
#include "kernels/cpu/simd_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/simd_kernels.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/cpu/simd/backward_globals-inl.h"
#include "kernels/cpu/simd/forward-inl.h"

#if HWY_ONCE
namespace fovea::kernels::cpu {

HWY_EXPORT(lanes);
HWY_EXPORT(target_name);
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

std::size_t forward_block_floats(const AttentionShape& shape, std::int64_t halo_tokens) {
  return HWY_DYNAMIC_DISPATCH(forward_block_floats)(shape, halo_tokens);
}

void forward_block(const AttentionForward& parameters, const BlockTask& task, float* scratch) {
  HWY_DYNAMIC_DISPATCH(forward_block)(parameters, task, scratch);
}

std::size_t global_partial_floats(const AttentionShape& shape) { return HWY_DYNAMIC_DISPATCH(global_partial_floats)(shape); }

std::size_t global_slice_floats(const AttentionShape& shape) { return HWY_DYNAMIC_DISPATCH(global_slice_floats)(shape); }

void forward_global_slice(const AttentionForward& parameters, const GlobalSlice& slice, float* scratch, float* partial) {
  HWY_DYNAMIC_DISPATCH(forward_global_slice)(parameters, slice, scratch, partial);
}

void merge_global_slices(const AttentionForward& parameters, const GlobalMerge& merge, const float* partials, float* scratch) {
  HWY_DYNAMIC_DISPATCH(merge_global_slices)(parameters, merge, partials, scratch);
}

void compute_delta(const AttentionBackward& parameters, const GlobalSlice& slice, float* delta) {
  HWY_DYNAMIC_DISPATCH(compute_delta)(parameters, slice, delta);
}

std::size_t backward_block_floats(const AttentionShape& shape, std::int64_t halo_tokens) {
  return HWY_DYNAMIC_DISPATCH(backward_block_floats)(shape, halo_tokens);
}

void backward_block(const AttentionBackward& parameters, const float* delta, const BlockTask& task, float* scratch) {
  HWY_DYNAMIC_DISPATCH(backward_block)(parameters, delta, task, scratch);
}

std::size_t global_gradient_floats(const AttentionShape& shape) { return HWY_DYNAMIC_DISPATCH(global_gradient_floats)(shape); }

std::size_t backward_slice_floats(const AttentionShape& shape) { return HWY_DYNAMIC_DISPATCH(backward_slice_floats)(shape); }

void backward_global_slice(const AttentionBackward& parameters, const float* delta, const GlobalSlice& slice, float* scratch, float* sums) {
  HWY_DYNAMIC_DISPATCH(backward_global_slice)(parameters, delta, slice, scratch, sums);
}

void merge_global_gradients(const AttentionBackward& parameters, const GlobalMerge& merge, const float* sums, float* scratch) {
  HWY_DYNAMIC_DISPATCH(merge_global_gradients)(parameters, merge, sums, scratch);
}

}  // namespace fovea::kernels::cpu
#endif  // HWY_ONCE
