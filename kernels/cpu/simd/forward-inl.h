// The forward pass: blocks of the grid, and the global queries in slices of the sequence.
#if defined(FOVEA_KERNELS_CPU_SIMD_FORWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_FORWARD_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_FORWARD_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_FORWARD_INL_H_
#endif

#include "kernels/cpu/simd/globals-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

std::size_t forward_block_floats(const AttentionShape& shape, std::int64_t halo_tokens) {
  const std::size_t padded = padded_depth(shape.head_dim);
  const std::size_t capacity = static_cast<std::size_t>(halo_tokens + shape.global_tokens) + kTokenGroup;
  return 2 * capacity * padded + 2 * padded * kLanes + partial_floats(padded) + kChunkTokens * kLanes +
         window_bias_floats(static_cast<std::size_t>(halo_tokens)) + 16 * 16;
}

template <class Element>
HWY_INLINE void forward_block_of(const AttentionForward& parameters, const BlockTask& task, float* scratch) {
  const AttentionShape& shape = parameters.shape;
  const Halo halo = halo_of(task.block, shape);
  const SubGrid grid = sub_grid_of(shape, task);
  const auto depth = static_cast<std::size_t>(shape.head_dim);
  const std::size_t padded = padded_depth(shape.head_dim);
  Arena arena(scratch);
  const auto tokens = static_cast<std::size_t>(halo.height() * halo.width() + shape.global_tokens);
  const PackedTokens packed = take_tokens(arena, tokens + kTokenGroup, padded);
  pack_halo(head_pair<Element>(parameters.key, parameters.value, task), shape, grid, halo, packed);
  float* rows = arena.take(kLanes * padded);
  float* centre = arena.take(padded * kLanes);
  float* scores = arena.take(kChunkTokens * kLanes);
  const Partial partial = partial_at(arena.take(partial_floats(padded)), padded);
  const WindowBias bias = take_window_bias(arena, halo, shape);
  Chunk chunk(kChunkTokens);

  for_each_tile(task, [&](const TilePositions& tile) {
    const LaneTokens lanes = lane_tokens(grid, tile);
    load_columns(head_of<Element>(parameters.query, task.batch, task.head), parameters.query.token_stride, lanes, depth,
                 parameters.scale * kLog2E, rows, centre);
    clear(partial, padded);
    for_each_chunk(shape, halo, tile, bias, chunk, [&] { attend(packed, centre, chunk, scores, partial); });
    finish(partial, depth, lanes, head_of<Element>(parameters.output, task.batch, task.head), parameters.output.token_stride,
           parameters.lse + sequence_offset(shape, task.batch, task.head), rows);
  });
}

void forward_block(const AttentionForward& parameters, const BlockTask& task, float* scratch) {
  with_element_type(parameters.dtype, [&](auto* element) {
    forward_block_of<std::remove_pointer_t<decltype(element)>>(parameters, task, scratch);
  });
}

std::size_t global_partial_floats(const AttentionShape& shape) {
  return global_groups(shape) * partial_floats(padded_depth(shape.head_dim));
}

std::size_t global_slice_floats(const AttentionShape& shape) {
  const std::size_t padded = padded_depth(shape.head_dim);
  return 2 * (kGlobalStep + kTokenGroup) * padded + (global_groups(shape) + 1) * padded * kLanes +
         kChunkTokens * kLanes + slice_bias_floats() + partial_floats(padded) + 16 * 16;
}

template <class Element>
HWY_INLINE void forward_global_slice_of(const AttentionForward& parameters, const GlobalSlice& slice, float* scratch, float* partials) {
  const AttentionShape& shape = parameters.shape;
  const auto depth = static_cast<std::size_t>(shape.head_dim);
  const std::size_t padded = padded_depth(shape.head_dim), groups = global_groups(shape);
  Arena arena(scratch);
  const PackedTokens packed = take_tokens(arena, kGlobalStep + kTokenGroup, padded);
  float* rows = arena.take(kLanes * padded);
  float* centres = arena.take(groups * padded * kLanes);
  float* scores = arena.take(kChunkTokens * kLanes);
  const SliceBias bias = take_slice_bias(arena);
  for (std::size_t group = 0; group < groups; ++group) {
    load_columns(head_of<Element>(parameters.query, slice.batch, slice.head), parameters.query.token_stride, global_lanes(shape, group),
                 depth, parameters.scale * kLog2E, rows, centres + group * padded * kLanes);
    clear(partial_at(partials + group * partial_floats(padded), padded), padded);
  }
  for_each_global_step(slice, [&](std::int64_t first, std::size_t count) {
    pack_step<Element>(parameters.key, slice, first, count, depth, packed.keys);
    pack_step<Element>(parameters.value, slice, first, count, depth, packed.values);
    const Chunk chunk = step_chunk(bias, count);
    for (std::size_t group = 0; group < groups; ++group) {
      attend(packed, centres + group * padded * kLanes, chunk, scores, partial_at(partials + group * partial_floats(padded), padded));
    }
  });
}

void forward_global_slice(const AttentionForward& parameters, const GlobalSlice& slice, float* scratch, float* partials) {
  with_element_type(parameters.dtype, [&](auto* element) {
    forward_global_slice_of<std::remove_pointer_t<decltype(element)>>(parameters, slice, scratch, partials);
  });
}

// sum += part, both brought to the greater maximum.
HWY_INLINE void merge_partial(const Partial& part, std::size_t padded, const Partial& sum) {
  const FloatTag tag;
  const FloatVector old_maximum = hn::Load(tag, sum.maximum), part_maximum = hn::Load(tag, part.maximum);
  const FloatVector maximum = hn::Max(old_maximum, part_maximum);
  const FloatVector keep = exp2_nonpositive(hn::Sub(old_maximum, maximum)), add = exp2_nonpositive(hn::Sub(part_maximum, maximum));
  const auto merge = [&](const float* from, float* to) {
    hn::Store(hn::MulAdd(add, hn::Load(tag, from), hn::Mul(keep, hn::Load(tag, to))), tag, to);
  };
  for (std::size_t d = 0; d < padded; ++d) merge(part.sums + d * kLanes, sum.sums + d * kLanes);
  merge(part.total, sum.total);
  hn::Store(maximum, tag, sum.maximum);
}

template <class Element>
HWY_INLINE void merge_global_slices_of(const AttentionForward& parameters, const GlobalMerge& task, const float* partials, float* scratch) {
  const AttentionShape& shape = parameters.shape;
  const auto depth = static_cast<std::size_t>(shape.head_dim);
  const std::size_t padded = padded_depth(shape.head_dim);
  Arena arena(scratch);
  float* rows = arena.take(kLanes * padded);
  const Partial sum = partial_at(arena.take(partial_floats(padded)), padded);
  for (std::size_t group = 0; group < global_groups(shape); ++group) {
    clear(sum, padded);
    for (std::int64_t s = 0; s < task.slices; ++s) {
      const std::size_t offset = static_cast<std::size_t>(s) * global_partial_floats(shape) + group * partial_floats(padded);
      merge_partial(partial_at(const_cast<float*>(partials) + offset, padded), padded, sum);
    }
    finish(sum, depth, global_lanes(shape, group), head_of<Element>(parameters.output, task.batch, task.head),
           parameters.output.token_stride, parameters.lse + sequence_offset(shape, task.batch, task.head), rows);
  }
}

void merge_global_slices(const AttentionForward& parameters, const GlobalMerge& task, const float* partials, float* scratch) {
  with_element_type(parameters.dtype, [&](auto* element) {
    merge_global_slices_of<std::remove_pointer_t<decltype(element)>>(parameters, task, partials, scratch);
  });
}

std::size_t lanes() { return kLanes; }

const char* target_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
