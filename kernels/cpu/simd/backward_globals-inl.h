// Gradients of the global tokens, as queries and as keys: slices of the sequence give partial sums, which are merged in their order.
#if defined(FOVEA_KERNELS_CPU_SIMD_BACKWARD_GLOBALS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_BACKWARD_GLOBALS_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_BACKWARD_GLOBALS_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_BACKWARD_GLOBALS_INL_H_
#endif

#include "kernels/cpu/simd/backward-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

// A group's partial sums: gradients of query, key and value, [padded][lanes] each.
HWY_INLINE std::size_t gradient_sum_floats(std::size_t padded) { return 3 * padded * kLanes; }

std::size_t global_gradient_floats(const AttentionShape& shape) {
  return global_groups(shape) * gradient_sum_floats(padded_depth(shape.head_dim));
}

std::size_t backward_slice_floats(const AttentionShape& shape) {
  const std::size_t padded = padded_depth(shape.head_dim);
  return 2 * (kGlobalStep + kTokenGroup) * (padded + 1) + (4 * global_groups(shape) + 1) * padded * kLanes + slice_bias_floats() +
         (2 * global_groups(shape) + 2 * kBackwardChunkTokens) * kLanes + gradient_sum_floats(padded) + 20 * 16;
}

// The global tokens as tiles, group by group.
struct GlobalTiles {
  float* query;          // [groups][padded][lanes], as in QueryTile and KeyTile
  float* grad_output;
  float* key;
  float* value;
  RowStatistics statistics;   // [groups][lanes]
};

template <class Element>
HWY_INLINE GlobalTiles load_global_tiles(const AttentionBackward& parameters, const float* delta, const GlobalSlice& slice, Arena& arena) {
  const AttentionShape& shape = parameters.shape;
  const std::size_t padded = padded_depth(shape.head_dim), groups = global_groups(shape), size = padded * kLanes;
  float* rows = arena.take(size);
  const GlobalTiles tiles{.query = arena.take(groups * size), .grad_output = arena.take(groups * size), .key = arena.take(groups * size),
                          .value = arena.take(groups * size), .statistics = {arena.take(groups * kLanes), arena.take(groups * kLanes)}};
  for (std::size_t group = 0; group < groups; ++group) {
    const LaneTokens lanes = global_lanes(shape, group);
    const auto load = [&](const ConstView& view, float factor, float* columns) {
      load_columns(head_of<Element>(view, slice.batch, slice.head), view.token_stride, lanes, static_cast<std::size_t>(shape.head_dim),
                   factor, rows, columns + group * size);
    };
    load(parameters.query, parameters.scale * kLog2E, tiles.query);
    load(parameters.key, parameters.scale * kLog2E, tiles.key);
    load(parameters.grad_output, 1.0f, tiles.grad_output);
    load(parameters.value, 1.0f, tiles.value);
    load_lane_statistics(parameters, delta, sequence_offset(shape, slice.batch, slice.head), lanes,
                         {tiles.statistics.lse2 + group * kLanes, tiles.statistics.delta + group * kLanes});
  }
  return tiles;
}

template <class Element>
HWY_INLINE void backward_global_slice_of(const AttentionBackward& parameters, const float* delta, const GlobalSlice& slice, float* scratch,
                                         float* sums) {
  const AttentionShape& shape = parameters.shape;
  const auto depth = static_cast<std::size_t>(shape.head_dim);
  const std::size_t padded = padded_depth(shape.head_dim), groups = global_groups(shape), size = padded * kLanes;
  const std::int64_t sequence = sequence_offset(shape, slice.batch, slice.head);
  Arena arena(scratch);
  const PackedTokens packed = take_tokens(arena, kGlobalStep + kTokenGroup, padded);
  const RowStatistics statistics{arena.take(kGlobalStep + kTokenGroup), arena.take(kGlobalStep + kTokenGroup)};
  const GlobalTiles tiles = load_global_tiles<Element>(parameters, delta, slice, arena);
  const ChunkTables tables = take_tables(arena);
  const SliceBias bias = take_slice_bias(arena);
  std::memset(sums, 0, groups * gradient_sum_floats(padded) * sizeof(float));
  for_each_global_step(slice, [&](std::int64_t first, std::size_t count) {
    const Chunk chunk = step_chunk(bias, count);
    pack_step<Element>(parameters.key, slice, first, count, depth, packed.keys);
    pack_step<Element>(parameters.value, slice, first, count, depth, packed.values);
    for (std::size_t group = 0; group < groups; ++group) {
      add_query_gradient(packed, {tiles.query + group * size, tiles.grad_output + group * size, sums + 3 * group * size},
                         {tiles.statistics.lse2 + group * kLanes, tiles.statistics.delta + group * kLanes}, chunk, tables);
    }
    pack_step<Element>(parameters.query, slice, first, count, depth, packed.keys);
    pack_step<Element>(parameters.grad_output, slice, first, count, depth, packed.values);
    for (std::size_t i = 0; i < padded_tokens(count); ++i) {
      const bool exists = i < count;
      const std::int64_t token = sequence + first + static_cast<std::int64_t>(i);
      statistics.lse2[i] = exists ? parameters.lse[token] * kLog2E : 0.0f;
      statistics.delta[i] = exists ? delta[token] : 0.0f;
    }
    for (std::size_t group = 0; group < groups; ++group) {
      add_key_gradient(packed, {tiles.key + group * size, tiles.value + group * size, sums + (3 * group + 1) * size,
                                sums + (3 * group + 2) * size}, statistics, chunk, tables);
    }
  });
}

void backward_global_slice(const AttentionBackward& parameters, const float* delta, const GlobalSlice& slice, float* scratch, float* sums) {
  with_element_type(parameters.dtype, [&](auto* element) {
    backward_global_slice_of<std::remove_pointer_t<decltype(element)>>(parameters, delta, slice, scratch, sums);
  });
}

template <class Element>
HWY_INLINE void merge_global_gradients_of(const AttentionBackward& parameters, const GlobalMerge& task, const float* sums, float* scratch) {
  const FloatTag tag;
  const AttentionShape& shape = parameters.shape;
  const std::size_t padded = padded_depth(shape.head_dim), size = padded * kLanes;
  Arena arena(scratch);
  float* rows = arena.take(size);
  float* total = arena.take(gradient_sum_floats(padded));
  for (std::size_t group = 0; group < global_groups(shape); ++group) {
    std::memset(total, 0, gradient_sum_floats(padded) * sizeof(float));
    for (std::int64_t s = 0; s < task.slices; ++s) {
      const float* part = sums + static_cast<std::size_t>(s) * global_gradient_floats(shape) + group * gradient_sum_floats(padded);
      for (std::size_t i = 0; i < gradient_sum_floats(padded); i += kLanes) {
        hn::Store(hn::Add(hn::Load(tag, total + i), hn::Load(tag, part + i)), tag, total + i);
      }
    }
    const LaneTokens lanes = global_lanes(shape, group);
    const auto store = [&](float* columns, float factor, const MutableView& view) {
      store_columns(columns, static_cast<std::size_t>(shape.head_dim), hn::Set(tag, factor), lanes,
                    head_of<Element>(view, task.batch, task.head), view.token_stride, rows);
    };
    store(total, parameters.scale, parameters.grad_query);
    store(total + size, parameters.scale, parameters.grad_key);
    store(total + 2 * size, 1.0f, parameters.grad_value);
  }
}

void merge_global_gradients(const AttentionBackward& parameters, const GlobalMerge& task, const float* sums, float* scratch) {
  with_element_type(parameters.dtype, [&](auto* element) {
    merge_global_gradients_of<std::remove_pointer_t<decltype(element)>>(parameters, task, sums, scratch);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
