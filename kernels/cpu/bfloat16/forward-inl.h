// Forward pass of tiles of 32 queries: softmax(Q Kt) V.
//
// A softmax may be shifted by any number that keeps its exponentials in range, and bfloat16 has float32's range: instead of looking for a
// maximum in every score, the largest score of the first 32 tokens serves as shift. The sum of weights then tells whether it was a good
// one; if not (logits over 40 apart), the tile is done again with the true maxima.
#pragma once

#include <cmath>
#include <limits>

#include "kernels/cpu/bfloat16/batches-inl.h"
#include "kernels/cpu/bfloat16/visible-inl.h"

namespace fovea::kernels::cpu::bfloat16 {

constexpr float kLargestTotal = 0x1p60f;
constexpr double kLn2 = 0.693147180559945309417;
constexpr float kLog2E = 1.44269504088896340736f;

// A tile's softmax: un-normalised output, sums of weights, shifts in units of log2.
struct SoftmaxState {
  Sums sums;
  float (*totals)[16];   // [32], parts that are yet to be added up
  float* shifts;         // [32]
};

inline SoftmaxState take_softmax_state(std::size_t padded, Arena& arena) {
  return {take_sums(padded, arena), arena.take<float[16]>(kSide), arena.take<float>(kSide)};
}

struct ForwardScratch {
  StripTokens tokens;
  Packed keys, values;   // across and along tokens
  Bits* queries;         // [32][padded]
  Scores scores[2];
  std::uint32_t* visible;
  Weights weights;
  SoftmaxState state;
};

inline ForwardScratch take_forward_scratch(const AttentionShape& shape, std::int64_t halo_tokens, Arena& arena) {
  const std::size_t padded = padded_depth(shape.head_dim);
  const std::size_t slabs = (padded_to_slabs(halo_tokens) + padded_to_slabs(shape.global_tokens)) / kSlab;
  return {.tokens = take_strip_tokens(shape, halo_tokens, arena), .keys = take_packed(slabs, padded, arena),
          .values = take_packed(slabs, padded, arena), .queries = arena.take<Bits>(kSide * padded),
          .scores = {take_scores(arena), take_scores(arena)}, .visible = arena.take<std::uint32_t>(kSide),
          .weights = take_weights(arena), .state = take_softmax_state(padded, arena)};
}

FOVEA_BEGIN_AVX512_BF16

inline float total_of(const SoftmaxState& state, std::size_t query) {
  return _mm512_reduce_add_ps(_mm512_load_ps(state.totals[query]));
}

// Weights of one slab from its scores, and their sums. factor: from scores to units of log2.
inline void weigh_scores(const Scores& scores, const std::uint32_t* visible, float factor, const SoftmaxState& state,
                         std::uint32_t* weights) {
  const __m512 scale = _mm512_set1_ps(factor);
  for (std::size_t q = 0; q < kSide; ++q, weights += kWeightPitch) {
    if (visible[q] == 0) {
      _mm512_store_si512(weights, _mm512_setzero_si512());
      continue;
    }
    const float* row = scores.numbers + q * kScorePitch;
    const __m512 shift = _mm512_set1_ps(state.shifts[q]);
    const __m512 first = exp2_masked(static_cast<__mmask16>(visible[q]), _mm512_fmsub_ps(_mm512_load_ps(row), scale, shift));
    const __m512 second = exp2_masked(static_cast<__mmask16>(visible[q] >> 16), _mm512_fmsub_ps(_mm512_load_ps(row + 16), scale, shift));
    _mm512_store_si512(weights, pairs_of(first, second));
    _mm512_store_ps(state.totals[q], _mm512_add_ps(_mm512_load_ps(state.totals[q]), _mm512_add_ps(first, second)));
  }
}

// Raises the shifts to the largest visible scores of the slab.
inline void raise_shifts(const Scores& scores, const std::uint32_t* visible, float factor, const SoftmaxState& state) {
  const __m512 scale = _mm512_set1_ps(factor);
  for (std::size_t q = 0; q < kSide; ++q) {
    const float* row = scores.numbers + q * kScorePitch;
    const auto first = static_cast<__mmask16>(visible[q]), second = static_cast<__mmask16>(visible[q] >> 16);
    __m512 largest = _mm512_set1_ps(state.shifts[q]);
    largest = _mm512_mask_max_ps(largest, first, largest, _mm512_mul_ps(scale, _mm512_load_ps(row)));
    largest = _mm512_mask_max_ps(largest, second, largest, _mm512_mul_ps(scale, _mm512_load_ps(row + 16)));
    state.shifts[q] = _mm512_reduce_max_ps(largest);
  }
}

// One tile, whose queries are in the scratch, against the slabs that it meets. Results are left in the scratch's state.
template <class Engine>
class TileAttention {
 public:
  TileAttention(const Engine& engine, const ForwardScratch& scratch, float factor) : engine_(engine), scratch_(scratch), factor_(factor) {}

  void attend(const StripTile& tile) const {
    lower_shifts();
    bool shifted = false;
    run(tile, [&](int buffer) {
      if (shifted) return;
      std::fill_n(scratch_.visible, kSide, ~std::uint32_t{0});
      raise_shifts(scratch_.scores[buffer], scratch_.visible, factor_, scratch_.state);
      shifted = true;
    });
    if (all_in_range(tile)) return;
    lower_shifts();
    const SlabProduct<Engine> scores = score_product();
    for_each_batch<1>(scratch_.tokens, tile, Start::kZero, [&](int, std::size_t slab) { scores.begin(slab); },
                      [&](int, std::size_t slab, int buffer) { scores.end(slab, scratch_.scores[buffer]); },
                      [&](std::size_t slab, int buffer, std::size_t, RowRange) {
                        visible_in_slab(scratch_.tokens, tile, slab, scratch_.visible);
                        raise_shifts(scratch_.scores[buffer], scratch_.visible, factor_, scratch_.state);
                      },
                      [](const Batch&, Start) {});
    run(tile, [](int) {});
  }

 private:
  void lower_shifts() const { std::fill_n(scratch_.state.shifts, kSide, -std::numeric_limits<float>::infinity()); }

  SlabProduct<Engine> score_product() const {
    return {engine_, {scratch_.queries, scratch_.keys.padded * sizeof(Bits)}, scratch_.keys};
  }

  template <class BeforeWeighing>
  void run(const StripTile& tile, const BeforeWeighing& before_weighing) const {
    const SlabProduct<Engine> scores = score_product();
    std::memset(scratch_.state.totals, 0, kSide * sizeof *scratch_.state.totals);
    for_each_batch<1>(scratch_.tokens, tile, Start::kZero, [&](int, std::size_t slab) { scores.begin(slab); },
                      [&](int, std::size_t slab, int buffer) { scores.end(slab, scratch_.scores[buffer]); },
                      [&](std::size_t slab, int buffer, std::size_t position, RowRange) {
                        before_weighing(buffer);
                        visible_in_slab(scratch_.tokens, tile, slab, scratch_.visible);
                        weigh_scores(scratch_.scores[buffer], scratch_.visible, factor_, scratch_.state, scratch_.weights.slab(position));
                      },
                      [&](const Batch& batch, Start start) {
                        add_batch(engine_, scratch_.weights, scratch_.values, batch, scratch_.state.sums, start);
                      });
  }

  bool all_in_range(const StripTile& tile) const {
    for (std::size_t q = 0; q < kSide; ++q) {
      const float total = total_of(scratch_.state, q);
      if (tile.query[q] >= 0 && !(total <= kLargestTotal && total >= 1 / kLargestTotal)) return false;
    }
    return true;
  }

  const Engine& engine_;
  const ForwardScratch& scratch_;
  float factor_;
};

// Keys and values of all tokens of the scratch's map.
inline void pack_keys_and_values(const AttentionForward& parameters, std::int64_t batch, int head, RowReader& reader,
                                 const ForwardScratch& scratch) {
  const HeadRows keys = head_rows(parameters.key, batch, head), values = head_rows(parameters.value, batch, head);
  for (std::size_t slab = 0; slab < scratch.tokens.slabs(); ++slab) {
    const std::int64_t* tokens = scratch.tokens.sequence + slab * kSlab;
    if (slab + 1 < scratch.tokens.slabs()) {
      reader.prefetch(keys, tokens + kSlab);
      reader.prefetch(values, tokens + kSlab);
    }
    pack_across(reader.read(keys, tokens), reader.padded(), scratch.keys.slab(slab));
    pack_along(reader.read(values, tokens), reader.padded(), scratch.values.slab(slab));
  }
}

// Where the results of one head go.
class OutputRows {
 public:
  OutputRows(const AttentionForward& parameters, std::int64_t batch, int head)
      : output_(head_rows(parameters.output, batch, head)), depth_(static_cast<std::size_t>(parameters.shape.head_dim)),
        lse_(parameters.lse + (batch * parameters.shape.heads + head) * parameters.shape.tokens()) {}

  void store(std::int64_t token, const float* sums, float total, float shift) const {
    store_result_row(sums, 1 / total, depth_, output_.first + token * output_.token_stride);
    lse_[token] = static_cast<float>(shift * kLn2 + std::log(total));
  }

 private:
  MutableHeadRows output_;
  std::size_t depth_;
  float* lse_;
};

template <class Engine>
void forward_strip(const Engine& engine, const AttentionForward& parameters, const BlockTask& task, float* memory) {
  const AttentionShape& shape = parameters.shape;
  const FlushDenormals flush;
  Arena arena(memory);
  RowReader reader(shape.head_dim, arena);
  const Halo halo = halo_of(task.block, oriented(shape, task.transposed));
  ForwardScratch scratch = take_forward_scratch(shape, halo.height() * halo.width(), arena);
  reader.clear();
  map_strip(shape, task, scratch.tokens);
  pack_keys_and_values(parameters, task.batch, task.head, reader, scratch);
  const HeadRows queries = head_rows(parameters.query, task.batch, task.head);
  const OutputRows output(parameters, task.batch, task.head);
  const TileAttention<Engine> attention(engine, scratch, parameters.scale * kLog2E);
  for (std::int64_t y = task.block.y0; y < task.block.y1; y += task.tile.height) {
    const StripTile tile = strip_tile(task, scratch.tokens, y);
    copy_rows(reader.read(queries, tile.query), reader.padded(), scratch.queries);
    if (y + task.tile.height < task.block.y1) reader.prefetch(queries, strip_tile(task, scratch.tokens, y + task.tile.height).query);
    attention.attend(tile);
    for (std::size_t q = 0; q < kSide; ++q) {
      if (tile.query[q] >= 0) output.store(tile.query[q], scratch.state.sums.row(q), total_of(scratch.state, q), scratch.state.shifts[q]);
    }
  }
}

FOVEA_END_AVX512_BF16

}  // namespace fovea::kernels::cpu::bfloat16
