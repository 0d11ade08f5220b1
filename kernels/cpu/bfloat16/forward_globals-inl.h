// The global queries' forward pass: slices of the sequence give partial softmaxes, which are merged in their order.
#pragma once

#include "kernels/cpu/bfloat16/forward-inl.h"

namespace fovea::kernels::cpu::bfloat16 {

// Tokens that are packed at a time.
constexpr std::int64_t kGlobalStep = 512;

// A group's softmax over part of the sequence. Queries that do not exist are undefined.
struct PartialSoftmax {
  Sums sums;
  float* totals;   // [32]
  float* shifts;   // [32]
};

inline PartialSoftmax take_partial(std::size_t padded, Arena& arena) {
  return {take_sums(padded, arena), arena.take<float>(kSide), arena.take<float>(kSide)};
}

// Of one slice: all groups.
inline std::size_t partial_floats(const AttentionShape& shape) {
  Arena arena;
  for (std::int64_t group = 0; group < global_groups(shape); ++group) take_partial(padded_depth(shape.head_dim), arena);
  return arena.used_bytes() / sizeof(float);
}

FOVEA_BEGIN_AVX512_BF16

// sum += part, both brought to the greater shift. first: sum is undefined and becomes part.
inline void merge_row(const float* part, float part_total, float part_shift, std::size_t query, bool first, const PartialSoftmax& sum) {
  float* row = sum.sums.numbers + query * sum.sums.pitch();
  if (first) {
    std::memcpy(row, part, sum.sums.padded * sizeof(float));
    sum.totals[query] = part_total;
    sum.shifts[query] = part_shift;
    return;
  }
  const float shift = std::max(sum.shifts[query], part_shift);
  const float keep = std::exp2(sum.shifts[query] - shift), add = std::exp2(part_shift - shift);
  for (std::size_t d = 0; d < sum.sums.padded; d += 16) {
    _mm512_store_ps(row + d, _mm512_fmadd_ps(_mm512_set1_ps(add), _mm512_load_ps(part + d),
                                             _mm512_mul_ps(_mm512_set1_ps(keep), _mm512_load_ps(row + d))));
  }
  sum.totals[query] = keep * sum.totals[query] + add * part_total;
  sum.shifts[query] = shift;
}

template <class Engine>
void forward_global_slice(const Engine& engine, const AttentionForward& parameters, const GlobalSlice& slice, float* memory,
                          float* partials) {
  AttentionShape without_globals = parameters.shape;
  without_globals.global_tokens = 0;
  const FlushDenormals flush;
  Arena arena(memory), partial_arena(partials);
  RowReader reader(parameters.shape.head_dim, arena);
  ForwardScratch scratch = take_forward_scratch(without_globals, kGlobalStep, arena);
  PartialSoftmax sums[kMaxGlobalTokens / kSide];
  for (std::int64_t group = 0; group < global_groups(parameters.shape); ++group) sums[group] = take_partial(reader.padded(), partial_arena);
  reader.clear();
  const HeadRows queries = head_rows(parameters.query, slice.batch, slice.head);
  const TileAttention<Engine> attention(engine, scratch, parameters.scale * kLog2E);
  for (std::int64_t done = 0; done < slice.tokens; done += kGlobalStep) {
    const std::int64_t count = std::min(kGlobalStep, slice.tokens - done);
    map_neighbours(slice.first_token + done, count, scratch.tokens);
    pack_keys_and_values(parameters, slice.batch, slice.head, reader, scratch);
    for (std::int64_t group = 0; group < global_groups(parameters.shape); ++group) {
      const StripTile tile = global_tile(parameters.shape, group, count);
      copy_rows(reader.read(queries, tile.query), reader.padded(), scratch.queries);
      attention.attend(tile);
      for (std::size_t q = 0; q < kSide && tile.query[q] >= 0; ++q) {
        merge_row(scratch.state.sums.row(q), total_of(scratch.state, q), scratch.state.shifts[q], q, done == 0, sums[group]);
      }
    }
  }
}

inline void merge_partial_softmaxes(const AttentionForward& parameters, const GlobalMerge& task, const float* partials, float* memory) {
  const AttentionShape& shape = parameters.shape;
  const std::size_t padded = padded_depth(shape.head_dim);
  const FlushDenormals flush;
  Arena arena(memory);
  const PartialSoftmax sum = take_partial(padded, arena);
  const OutputRows output(parameters, task.batch, task.head);
  for (std::int64_t group = 0; group < global_groups(shape); ++group) {
    const StripTile tile = global_tile(shape, group, 0);
    for (std::int64_t s = 0; s < task.slices; ++s) {
      Arena slice(const_cast<float*>(partials) + static_cast<std::size_t>(s) * partial_floats(shape));
      for (std::int64_t before = 0; before < group; ++before) take_partial(padded, slice);
      const PartialSoftmax part = take_partial(padded, slice);
      for (std::size_t q = 0; q < kSide && tile.query[q] >= 0; ++q) {
        merge_row(part.sums.row(q), part.totals[q], part.shifts[q], q, s == 0, sum);
      }
    }
    for (std::size_t q = 0; q < kSide && tile.query[q] >= 0; ++q) {
      output.store(tile.query[q], sum.sums.row(q), sum.totals[q], sum.shifts[q]);
    }
  }
}

FOVEA_END_AVX512_BF16

}  // namespace fovea::kernels::cpu::bfloat16
