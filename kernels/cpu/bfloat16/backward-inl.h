// Backward pass of tiles of 32 tokens. Windows are symmetric: the queries that see a key are the window around it. So every tile is taken
// twice, as queries and as keys, and each gradient is a sum in a fixed order by one thread.
//   P = exp(S - lse)   dP = dO Vt   dS = P (dP - delta), delta = rowsum(dO O) - grad_lse   (Dao et al. 2022)
//   dQ = scale dS K    dK = scale dSt Q   dV = Pt dO
#pragma once

#include "kernels/cpu/bfloat16/forward-inl.h"

namespace fovea::kernels::cpu::bfloat16 {

enum class Role : std::uint8_t { kQueries, kKeys };   // of the tile's tokens; what they meet plays the other

// What a tile holds and what it meets:         kQueries             kKeys
struct BackwardViews {
  HeadRows rows, partners;                   // Q, dO                K, V
  HeadRows met, met_partners;                // K, V                 Q, dO
};

// lse in units of log2, and delta.
struct RowStatistics {
  float* lse2;
  float* delta;
};

inline RowStatistics take_statistics(std::size_t tokens, Arena& arena) { return {arena.take<float>(tokens), arena.take<float>(tokens)}; }

struct BackwardScratch {
  StripTokens tokens;
  Packed across, partners_across;        // met and met_partners
  Packed along, partners_along;          // partners_along for keys only
  RowStatistics met_statistics;          // of queries that are met
  RowStatistics row_statistics;          // [32], of queries in the tile
  Bits* rows;                            // [32][padded]
  Bits* partners;
  Scores scores[2], products[2];         // S, and dP
  std::uint32_t* visible;
  Weights weights, slopes;               // P and dS
};

inline BackwardScratch take_backward_scratch(const AttentionShape& shape, std::int64_t halo_tokens, Arena& arena) {
  const std::size_t padded = padded_depth(shape.head_dim);
  const std::size_t slabs = (padded_to_slabs(halo_tokens) + padded_to_slabs(shape.global_tokens)) / kSlab;
  return {.tokens = take_strip_tokens(shape, halo_tokens, arena), .across = take_packed(slabs, padded, arena),
          .partners_across = take_packed(slabs, padded, arena), .along = take_packed(slabs, padded, arena),
          .partners_along = take_packed(slabs, padded, arena), .met_statistics = take_statistics(slabs * kSlab, arena),
          .row_statistics = take_statistics(kSide, arena), .rows = arena.take<Bits>(kSide * padded),
          .partners = arena.take<Bits>(kSide * padded), .scores = {take_scores(arena), take_scores(arena)},
          .products = {take_scores(arena), take_scores(arena)}, .visible = arena.take<std::uint32_t>(kSide),
          .weights = take_weights(arena), .slopes = take_weights(arena)};
}

FOVEA_BEGIN_AVX512_BF16

// One query a row (kQueries) or one query a column (kKeys).
template <Role kRole>
struct SlabStatistics {
  RowStatistics statistics;   // at the tile's first row, or at the slab's first token
  __m512 lse2(std::size_t row, std::size_t half) const { return load(statistics.lse2, row, half); }
  __m512 delta(std::size_t row, std::size_t half) const { return load(statistics.delta, row, half); }

 private:
  static __m512 load(const float* numbers, std::size_t row, std::size_t half) {
    return kRole == Role::kQueries ? _mm512_set1_ps(numbers[row]) : _mm512_load_ps(numbers + half * kPairs);
  }
};

// P and dS of one slab. weights: nullptr where nobody needs P.
template <Role kRole>
inline void weigh_gradients(const Scores& scores, const Scores& products, const std::uint32_t* visible, float factor,
                            const SlabStatistics<kRole>& statistics, RowRange rows, std::uint32_t* weights, std::uint32_t* slopes) {
  const __m512 scale = _mm512_set1_ps(factor);
  for (std::size_t r = rows.begin; r < rows.end; ++r) {
    __m512 weight[2], slope[2];
#pragma GCC unroll 2
    for (std::size_t half = 0; half < 2; ++half) {
      const auto mask = static_cast<__mmask16>(visible[r] >> (half * 16));
      const __m512 score = _mm512_load_ps(scores.numbers + r * kScorePitch + half * kPairs);
      const __m512 product = _mm512_load_ps(products.numbers + r * kScorePitch + half * kPairs);
      weight[half] = exp2_masked(mask, _mm512_fmsub_ps(score, scale, statistics.lse2(r, half)));
      slope[half] = _mm512_maskz_mul_ps(mask, weight[half], _mm512_sub_ps(product, statistics.delta(r, half)));
    }
    _mm512_store_si512(slopes + r * kWeightPitch, pairs_of(slope[0], slope[1]));
    if (kRole == Role::kKeys) _mm512_store_si512(weights + r * kWeightPitch, pairs_of(weight[0], weight[1]));
  }
}

// Adds to the gradients of one tile what the tokens in the scratch give.
//   kQueries: gradient of the rows (without the scale).   kKeys: the same, and that of their partners.
template <Role kRole, class Engine>
inline void add_gradients(const Engine& engine, const BackwardScratch& scratch, const StripTile& tile, float factor, Start start,
                          const Sums& row_gradient, const Sums& partner_gradient) {
  const std::size_t row_bytes = scratch.across.padded * sizeof(Bits);
  const SlabProduct<Engine> products[2] = {{engine, {scratch.rows, row_bytes}, scratch.across},
                                           {engine, {scratch.partners, row_bytes}, scratch.partners_across}};
  const auto result_of = [&](int product, int buffer) { return product == 0 ? scratch.scores[buffer] : scratch.products[buffer]; };
  for_each_batch<2>(scratch.tokens, tile, start, [&](int product, std::size_t slab) { products[product].begin(slab); },
                    [&](int product, std::size_t slab, int buffer) { products[product].end(slab, result_of(product, buffer)); },
                    [&](std::size_t slab, int buffer, std::size_t position, RowRange rows) {
                      if (rows.begin == 0) visible_in_slab(scratch.tokens, tile, slab, scratch.visible);
                      const RowStatistics met{scratch.met_statistics.lse2 + slab * kSlab, scratch.met_statistics.delta + slab * kSlab};
                      weigh_gradients<kRole>(scratch.scores[buffer], scratch.products[buffer], scratch.visible, factor,
                                             {kRole == Role::kQueries ? scratch.row_statistics : met}, rows,
                                             scratch.weights.slab(position), scratch.slopes.slab(position));
                    },
                    [&](const Batch& batch, Start batch_start) {
                      add_batch(engine, scratch.slopes, scratch.along, batch, row_gradient, batch_start);
                      if (kRole == Role::kQueries) return;
                      add_batch(engine, scratch.weights, scratch.partners_along, batch, partner_gradient, batch_start);
                    });
}

// The backward pass of one head of one image: its rows, and how they get into the scratch.
class BackwardHead {
 public:
  BackwardHead(const AttentionBackward& parameters, const float* delta, std::int64_t batch, int head, RowReader& reader)
      : reader_(reader), query_(head_rows(parameters.query, batch, head)), key_(head_rows(parameters.key, batch, head)),
        value_(head_rows(parameters.value, batch, head)), grad_output_(head_rows(parameters.grad_output, batch, head)) {
    const std::int64_t offset = (batch * parameters.shape.heads + head) * parameters.shape.tokens();
    lse_ = parameters.lse + offset;
    delta_ = delta + offset;
  }

  // The tokens of the scratch's map, as what tiles of that role meet.
  template <Role kRole>
  void pack(const BackwardScratch& scratch) {
    const HeadRows& met = kRole == Role::kQueries ? key_ : query_;
    const HeadRows& partners = kRole == Role::kQueries ? value_ : grad_output_;
    for (std::size_t slab = 0; slab < scratch.tokens.slabs(); ++slab) {
      const std::int64_t* tokens = scratch.tokens.sequence + slab * kSlab;
      if (slab + 1 < scratch.tokens.slabs()) {
        reader_.prefetch(met, tokens + kSlab);
        reader_.prefetch(partners, tokens + kSlab);
      }
      const Bits* const* rows = reader_.read(met, tokens);
      pack_across(rows, reader_.padded(), scratch.across.slab(slab));
      pack_along(rows, reader_.padded(), scratch.along.slab(slab));
      rows = reader_.read(partners, tokens);
      pack_across(rows, reader_.padded(), scratch.partners_across.slab(slab));
      if (kRole == Role::kQueries) continue;
      pack_along(rows, reader_.padded(), scratch.partners_along.slab(slab));
      load_statistics(tokens, {scratch.met_statistics.lse2 + slab * kSlab, scratch.met_statistics.delta + slab * kSlab});
    }
  }

  template <Role kRole>
  void load_tile(const StripTile& tile, const BackwardScratch& scratch) {
    copy_rows(reader_.read(kRole == Role::kQueries ? query_ : key_, tile.query), reader_.padded(), scratch.rows);
    copy_rows(reader_.read(kRole == Role::kQueries ? grad_output_ : value_, tile.query), reader_.padded(), scratch.partners);
    if (kRole == Role::kQueries) load_statistics(tile.query, scratch.row_statistics);
  }

 private:
  void load_statistics(const std::int64_t* tokens, const RowStatistics& to) const {
    for (std::size_t i = 0; i < kSide; ++i) {
      to.lse2[i] = tokens[i] < 0 ? 0.0f : lse_[tokens[i]] * kLog2E;
      to.delta[i] = tokens[i] < 0 ? 0.0f : delta_[tokens[i]];
    }
  }

  RowReader& reader_;
  HeadRows query_, key_, value_, grad_output_;
  const float* lse_;
  const float* delta_;
};

// Gradients of a tile's tokens to their tensor.
inline void store_gradients(const StripTile& tile, const Sums& sums, float factor, std::size_t depth, const MutableHeadRows& to) {
  for (std::size_t q = 0; q < kSide; ++q) {
    if (tile.query[q] >= 0) store_result_row(sums.row(q), factor, depth, to.first + tile.query[q] * to.token_stride);
  }
}

template <class Engine>
void backward_strip(const Engine& engine, const AttentionBackward& parameters, const float* delta, const BlockTask& task, float* memory) {
  const AttentionShape& shape = parameters.shape;
  const FlushDenormals flush;
  Arena arena(memory);
  RowReader reader(shape.head_dim, arena);
  const Halo halo = halo_of(task.block, oriented(shape, task.transposed));
  const Sums row_gradient = take_sums(reader.padded(), arena), partner_gradient = take_sums(reader.padded(), arena);
  BackwardScratch scratch = take_backward_scratch(shape, halo.height() * halo.width(), arena);
  reader.clear();
  map_strip(shape, task, scratch.tokens);
  BackwardHead head(parameters, delta, task.batch, task.head, reader);
  const auto depth = static_cast<std::size_t>(shape.head_dim);
  const float factor = parameters.scale * kLog2E;
  const auto for_each_tile = [&](const auto& body) {
    for (std::int64_t y = task.block.y0; y < task.block.y1; y += task.tile.height) body(strip_tile(task, scratch.tokens, y));
  };
  head.pack<Role::kQueries>(scratch);
  for_each_tile([&](const StripTile& tile) {
    head.load_tile<Role::kQueries>(tile, scratch);
    add_gradients<Role::kQueries>(engine, scratch, tile, factor, Start::kZero, row_gradient, partner_gradient);
    store_gradients(tile, row_gradient, parameters.scale, depth, head_rows(parameters.grad_query, task.batch, task.head));
  });
  head.pack<Role::kKeys>(scratch);
  for_each_tile([&](const StripTile& tile) {
    head.load_tile<Role::kKeys>(tile, scratch);
    add_gradients<Role::kKeys>(engine, scratch, tile, factor, Start::kZero, row_gradient, partner_gradient);
    store_gradients(tile, row_gradient, parameters.scale, depth, head_rows(parameters.grad_key, task.batch, task.head));
    store_gradients(tile, partner_gradient, 1.0f, depth, head_rows(parameters.grad_value, task.batch, task.head));
  });
}

FOVEA_END_AVX512_BF16

}  // namespace fovea::kernels::cpu::bfloat16
