// The way of a tile along the slabs that it meets: scores of 32 x 32 by a matrix product, weights from them by vector arithmetic, and, once
// the weights of several slabs are there, their product with what is summed up.
#pragma once

#include "kernels/cpu/bfloat16/rows-inl.h"
#include "kernels/cpu/bfloat16/strip_tokens.h"

namespace fovea::kernels::cpu::bfloat16 {

constexpr std::size_t kBatchSlabs = 16;
// Rows an odd number of cache lines apart, so that a column of them does not fall into few sets of the cache.
constexpr std::size_t kScorePitch = kSide + 16;                   // floats
constexpr std::size_t kWeightPitch = kBatchSlabs * kPairs + 16;   // pairs

// Scores of one slab.
struct Scores {
  float* numbers;   // [32][kScorePitch]
  Result result() const { return {numbers, kScorePitch * sizeof(float)}; }
};

inline Scores take_scores(Arena& arena) { return {arena.take<float>(kSide * kScorePitch)}; }

// Weights of a batch, a left operand in pairs of the tokens i and i + 16 of a slab.
struct Weights {
  std::uint32_t* pairs;   // [32][kWeightPitch]
  std::uint32_t* slab(std::size_t position) const { return pairs + position * kPairs; }
  LeftOperand operand() const { return {pairs, kWeightPitch * sizeof(std::uint32_t)}; }
};

inline Weights take_weights(Arena& arena) { return {arena.take<std::uint32_t>(kSide * kWeightPitch)}; }

// Tokens in one of the layouts of packing.h, slab by slab.
struct Packed {
  std::byte* slabs;
  std::size_t padded;
  std::byte* slab(std::size_t index) const { return slabs + index * packed_bytes(padded); }
};

inline Packed take_packed(std::size_t slabs, std::size_t padded, Arena& arena) {
  return {arena.take<std::byte>(slabs * packed_bytes(padded)), padded};
}

// What a tile sums up: [32][depth], columns in the order of pack_along.
struct Sums {
  float* numbers;
  std::size_t padded;
  std::size_t pitch() const { return padded + 16; }
  const float* row(std::size_t query) const { return numbers + query * pitch(); }
};

inline Sums take_sums(std::size_t padded, Arena& arena) { return {arena.take<float>(kSide * (padded + 16)), padded}; }

// Neighbouring slabs whose weights are there.
struct Batch {
  std::size_t first = 0, count = 0;
};

FOVEA_BEGIN_AVX512_BF16

// A matrix product of the tile's rows with one slab's tokens.
template <class Engine>
struct SlabProduct {
  const Engine& engine;
  LeftOperand rows;
  Packed across;

  void begin(std::size_t slab) const { engine.begin(rows, tiles(slab), steps()); }
  void end(std::size_t slab, const Scores& scores) const { engine.end(rows, tiles(slab), steps(), scores.result()); }

 private:
  RightOperand tiles(std::size_t slab) const { return across_tokens(across.slab(slab), across.padded); }
  std::size_t steps() const { return across.padded / kSide; }
};

// sums (+)= weights times the batch's tokens.
template <class Engine>
inline void add_batch(const Engine& engine, const Weights& weights, const Packed& along, const Batch& batch, const Sums& sums,
                      Start start) {
  for (std::size_t block = 0; block < sums.padded / kSide; ++block) {
    engine.multiply(weights.operand(), along_tokens(along.slab(batch.first), along.padded, block), batch.count,
                    {sums.numbers + block * kSide, sums.pitch() * sizeof(float)}, start);
  }
}

// The rows of a tile that are weighed at a time.
struct RowRange {
  std::size_t begin, end;
};

// Works on slab after slab: begin(product, slab) and end(product, slab, buffer) for each of kProducts products, weigh(slab, buffer,
// position in the batch, rows) for all rows, and add(batch, start) for every batch, the first time with the given start.
// The products of a slab are computed while the slab before is weighed, so that the matrix unit and the vectors work at the same time.
template <int kProducts, class Begin, class End, class Weigh, class Add>
inline void for_each_batch(const StripTokens& tokens, const StripTile& tile, Start start, const Begin& begin, const End& end,
                           const Weigh& weigh, const Add& add) {
  const std::size_t halo_end = tile.end / kSlab, globals = tokens.halo_end / kSlab, globals_end = tokens.end / kSlab;
  const auto after = [&](std::size_t slab) { return slab + 1 == halo_end ? globals : slab + 1; };
  Batch batch;
  std::size_t slab = tile.begin / kSlab;
  int buffer = 0;
  for (int product = 0; product < kProducts; ++product) {
    begin(product, slab);
    end(product, slab, buffer);
  }
  for (bool last = false; !last; buffer = 1 - buffer) {
    const std::size_t next = after(slab);
    last = next == globals_end;
    if (batch.count == 0) batch.first = slab;
    constexpr std::size_t kRows = kSide / kProducts;
    for (int product = 0; product < kProducts; ++product) {
      const std::size_t row = static_cast<std::size_t>(product) * kRows;
      if (!last) begin(product, next);
      weigh(slab, buffer, batch.count, RowRange{row, row + kRows});
      if (!last) end(product, next, 1 - buffer);
    }
    ++batch.count;
    if (last || batch.count == kBatchSlabs || next != slab + 1) {
      add(batch, start);
      start = Start::kResult;
      batch.count = 0;
    }
    slab = next;
  }
}

FOVEA_END_AVX512_BF16

}  // namespace fovea::kernels::cpu::bfloat16
