// Gradients of the global tokens, as queries and as keys: slices of the sequence give partial sums, which are added up in their order.
#pragma once

#include "kernels/cpu/bfloat16/backward-inl.h"
#include "kernels/cpu/bfloat16/forward_globals-inl.h"

namespace fovea::kernels::cpu::bfloat16 {

struct GlobalGradients {
  Sums query, key, value;
};

inline GlobalGradients take_global_gradients(std::size_t padded, Arena& arena) {
  return {take_sums(padded, arena), take_sums(padded, arena), take_sums(padded, arena)};
}

// Of one slice: all groups.
inline std::size_t gradient_floats(const AttentionShape& shape) {
  Arena arena;
  for (std::int64_t group = 0; group < global_groups(shape); ++group) take_global_gradients(padded_depth(shape.head_dim), arena);
  return arena.used_bytes() / sizeof(float);
}

FOVEA_BEGIN_AVX512_BF16

template <class Engine>
void backward_global_slice(const Engine& engine, const AttentionBackward& parameters, const float* delta, const GlobalSlice& slice,
                           float* memory, float* sums) {
  const AttentionShape& shape = parameters.shape;
  AttentionShape without_globals = shape;
  without_globals.global_tokens = 0;
  const FlushDenormals flush;
  Arena arena(memory), sum_arena(sums);
  RowReader reader(shape.head_dim, arena);
  BackwardScratch scratch = take_backward_scratch(without_globals, kGlobalStep, arena);
  GlobalGradients gradients[kMaxGlobalTokens / kSide];
  for (std::int64_t group = 0; group < global_groups(shape); ++group) gradients[group] = take_global_gradients(reader.padded(), sum_arena);
  reader.clear();
  BackwardHead head(parameters, delta, slice.batch, slice.head, reader);
  const float factor = parameters.scale * kLog2E;
  for (std::int64_t done = 0; done < slice.tokens; done += kGlobalStep) {
    const std::int64_t count = std::min(kGlobalStep, slice.tokens - done);
    const Start start = done == 0 ? Start::kZero : Start::kResult;
    map_neighbours(slice.first_token + done, count, scratch.tokens);
    head.pack<Role::kQueries>(scratch);
    for (std::int64_t group = 0; group < global_groups(shape); ++group) {
      const StripTile tile = global_tile(shape, group, count);
      head.load_tile<Role::kQueries>(tile, scratch);
      add_gradients<Role::kQueries>(engine, scratch, tile, factor, start, gradients[group].query, {});
    }
    head.pack<Role::kKeys>(scratch);
    for (std::int64_t group = 0; group < global_groups(shape); ++group) {
      const StripTile tile = global_tile(shape, group, count);
      head.load_tile<Role::kKeys>(tile, scratch);
      add_gradients<Role::kKeys>(engine, scratch, tile, factor, start, gradients[group].key, gradients[group].value);
    }
  }
}

inline void merge_partial_gradients(const AttentionBackward& parameters, const GlobalMerge& task, const float* sums, float* memory) {
  const AttentionShape& shape = parameters.shape;
  const std::size_t padded = padded_depth(shape.head_dim), floats = gradient_floats(shape);
  // Slices have one layout: sums of their numbers are one of the same layout.
  std::copy_n(sums, floats, memory);
  for (std::int64_t s = 1; s < task.slices; ++s) {
    const float* part = sums + static_cast<std::size_t>(s) * floats;
    for (std::size_t i = 0; i < floats; ++i) memory[i] += part[i];
  }
  Arena arena(memory);
  const auto depth = static_cast<std::size_t>(shape.head_dim);
  for (std::int64_t group = 0; group < global_groups(shape); ++group) {
    const GlobalGradients total = take_global_gradients(padded, arena);
    const StripTile tile = global_tile(shape, group, 0);
    store_gradients(tile, total.query, parameters.scale, depth, head_rows(parameters.grad_query, task.batch, task.head));
    store_gradients(tile, total.key, parameters.scale, depth, head_rows(parameters.grad_key, task.batch, task.head));
    store_gradients(tile, total.value, 1.0f, depth, head_rows(parameters.grad_value, task.batch, task.head));
  }
}

FOVEA_END_AVX512_BF16

}  // namespace fovea::kernels::cpu::bfloat16
