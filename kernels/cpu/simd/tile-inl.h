// Attention of one tile: as many queries as a vector has lanes, one lane a query, against runs of packed tokens.
// Online softmax (Milakov and Gimelshein 2018; Dao et al. 2022) in base 2, one step a chunk of at most kChunkTokens keys.
#if defined(FOVEA_KERNELS_CPU_SIMD_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_TILE_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_TILE_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_TILE_INL_H_
#endif

#include <algorithm>
#include <cmath>

#include "kernels/cpu/block_plan.h"
#include "kernels/cpu/simd/matrix-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

// Scores of a chunk stay in the L1 cache. A 17 x 17 window and 8 global tokens fit in one; the backward pass keeps two tables of them.
constexpr std::size_t kChunkTokens = 512;
constexpr std::size_t kBackwardChunkTokens = 256;
// Added to hidden scores. Finite, so that a chunk in which a query sees nothing gives weights that the next maximum scales to zero.
constexpr float kHidden = -1e30f;
constexpr float kNoMaximum = 4 * kHidden;
constexpr double kLn2 = 0.693147180559945309417;

HWY_INLINE std::size_t padded_tokens(std::size_t tokens) { return hwy::RoundUpTo(tokens, kTokenGroup); }

// Hands out parts of a task's scratch memory.
class Arena {
 public:
  explicit Arena(float* memory) : next_(memory) {}
  float* take(std::size_t floats) {
    float* taken = next_;
    next_ += hwy::RoundUpTo(floats, 16);
    return taken;
  }

 private:
  float* next_;
};

// Panels of one kind of rows.
struct Panels {
  float* data;
  std::size_t capacity, padded;
};

// What a tile meets. For queries: keys and values. For keys, in the backward pass: queries, and gradients of their outputs.
struct PackedTokens {
  Panels keys, values;
};

HWY_INLINE PackedTokens take_tokens(Arena& arena, std::size_t capacity, std::size_t padded) {
  const Panels keys{arena.take(capacity * padded), capacity, padded};
  return {keys, {arena.take(capacity * padded), capacity, padded}};
}

// Neighbouring packed tokens. Those after count, up to the next multiple of kTokenGroup, are read and must be hidden by the bias.
struct Run {
  std::size_t first, count;
  const float* column_bias;   // [padded_tokens(count)][lanes]
  const float* row_bias;      // [lanes]
};

// The runs of one step, at most `limit` tokens.
struct Chunk {
  explicit Chunk(std::size_t chunk_limit) : limit(chunk_limit) {}
  std::size_t limit;
  Run runs[kChunkTokens / kTokenGroup];
  std::size_t size = 0, tokens = 0;
  bool fits(std::size_t count) const { return tokens + padded_tokens(count) <= limit; }
  void add(const Run& run) {
    runs[size++] = run;
    tokens += padded_tokens(run.count);
  }
};

// Un-normalised result of a tile: weighted sums of values [padded][lanes], then the maximum and the sum of weights [lanes] each.
struct Partial {
  float* sums;
  float* maximum;
  float* total;
};

HWY_INLINE std::size_t partial_floats(std::size_t padded) { return (padded + 2) * kLanes; }

HWY_INLINE Partial partial_at(float* memory, std::size_t padded) {
  return {memory, memory + padded * kLanes, memory + (padded + 1) * kLanes};
}

HWY_INLINE void clear(const Partial& partial, std::size_t padded) {
  std::memset(partial.sums, 0, padded * kLanes * sizeof(float));
  hn::Store(hn::Set(FloatTag(), kNoMaximum), FloatTag(), partial.maximum);
  hn::Store(hn::Zero(FloatTag()), FloatTag(), partial.total);
}

HWY_INLINE FloatVector score_group(std::size_t tokens, const ScoreRows& rows) {
  switch (tokens) {
    case 4: return score_rows<4>(rows);
    case 8: return score_rows<8>(rows);
#if HWY_TARGET <= HWY_AVX3
    case 12: return score_rows<12>(rows);
    case 16: return score_rows<16>(rows);
    case 20: return score_rows<20>(rows);
#endif
    default: return score_rows<kScoreRows>(rows);
  }
}

enum class Bias { kWindow, kNone };

// scores[t][lane] = bias + tokens[t] . centre[lane] for all tokens t of a chunk, in groups of nearly equal size that fill the registers.
// Returns the greatest score and `maximum`.
HWY_INLINE FloatVector score_chunk(const Panels& tokens, const float* centre, const Chunk& chunk, Bias bias, float* scores,
                                   FloatVector maximum) {
  for (std::size_t r = 0; r < chunk.size; ++r) {
    const Run& run = chunk.runs[r];
    std::size_t left = padded_tokens(run.count);
    for (std::size_t done = 0; left > 0;) {
      const std::size_t group = padded_tokens(hwy::DivCeil(left, hwy::DivCeil(left, kScoreRows)));
      maximum = hn::Max(maximum, score_group(group, {.tokens = tokens.data + (run.first + done) * kPanel, .capacity = tokens.capacity,
                                                     .padded = tokens.padded, .centre = centre,
                                                     .column_bias = bias == Bias::kNone ? nullptr : run.column_bias + done * kLanes,
                                                     .row_bias = run.row_bias, .scores = scores}));
      scores += group * kLanes;
      done += group;
      left -= group;
    }
  }
  return maximum;
}

// sums[depth][lane] = factor[lane] * sums[depth][lane] + sum over the chunk's tokens of tokens[t][depth] * weights[t][lane].
HWY_INLINE void add_chunk(const Panels& tokens, const Chunk& chunk, const float* weights, FloatVector factor, float* sums) {
  const FloatTag tag;
  for (std::size_t d = 0; d < tokens.padded; d += kDepthRows) {
    FloatVector accumulator[kDepthRows];
    float* rows = sums + d * kLanes;
    for (std::size_t i = 0; i < kDepthRows; ++i) accumulator[i] = hn::Mul(factor, hn::Load(tag, rows + i * kLanes));
    const float* panel = tokens.data + d / kPanel * tokens.capacity * kPanel + d % kPanel;
    const float* weight = weights;
    for (std::size_t r = 0; r < chunk.size; ++r) {
      const std::size_t count = padded_tokens(chunk.runs[r].count);
      add_weighted(panel + chunk.runs[r].first * kPanel, weight, count, accumulator);
      weight += count * kLanes;
    }
    for (std::size_t i = 0; i < kDepthRows; ++i) hn::Store(accumulator[i], tag, rows + i * kLanes);
  }
}

// One step of the softmax: `centre` holds the tile's queries [padded][lanes], scaled by scale * log2(e). scores: kChunkTokens * lanes.
HWY_NOINLINE void attend(const PackedTokens& tokens, const float* centre, const Chunk& chunk, float* scores, const Partial& partial) {
  const FloatTag tag;
  const FloatVector old_maximum = hn::Load(tag, partial.maximum);
  const FloatVector maximum = score_chunk(tokens.keys, centre, chunk, Bias::kWindow, scores, old_maximum);
  const FloatVector correction = exp2_nonpositive(hn::Sub(old_maximum, maximum));
  FloatVector total = hn::Mul(correction, hn::Load(tag, partial.total));
  for (std::size_t t = 0; t < chunk.tokens; ++t) {
    const FloatVector weight = exp2_nonpositive(hn::Sub(hn::Load(tag, scores + t * kLanes), maximum));
    hn::Store(weight, tag, scores + t * kLanes);
    total = hn::Add(total, weight);
  }
  hn::Store(maximum, tag, partial.maximum);
  hn::Store(total, tag, partial.total);
  add_chunk(tokens.values, chunk, scores, correction, partial.sums);
}

// The sequence's token in each lane; lanes without one of their own repeat another's and store nothing.
struct LaneTokens {
  std::int64_t token[kLanes];
  bool stored[kLanes];
};

// Rows of a tensor's head at the lanes' tokens, times factor, as columns [padded][lanes]. rows: lanes * padded floats of scratch.
template <class Element>
HWY_INLINE void load_columns(const Element* head, std::int64_t token_stride, const LaneTokens& lanes, std::size_t depth, float factor,
                             float* rows, float* columns) {
  const FloatTag tag;
  const std::size_t padded = hwy::RoundUpTo(depth, kPanel);
  for (std::size_t lane = 0; lane < kLanes; ++lane) load_row(head + lanes.token[lane] * token_stride, depth, padded, rows + lane * padded);
  transpose(rows, kLanes, padded, columns);
  for (std::size_t d = 0; d < padded; ++d) {
    hn::Store(hn::Mul(hn::Set(tag, factor), hn::Load(tag, columns + d * kLanes)), tag, columns + d * kLanes);
  }
}

// Columns [padded][lanes], times a factor for each lane, to the lanes' tokens. The columns are lost.
template <class Element>
HWY_INLINE void store_columns(float* columns, std::size_t depth, FloatVector factor, const LaneTokens& lanes, Element* head,
                              std::int64_t token_stride, float* rows) {
  const FloatTag tag;
  const std::size_t padded = hwy::RoundUpTo(depth, kPanel);
  for (std::size_t d = 0; d < padded; ++d) hn::Store(hn::Mul(factor, hn::Load(tag, columns + d * kLanes)), tag, columns + d * kLanes);
  transpose(columns, padded, kLanes, rows);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    if (lanes.stored[lane]) store_row(rows + lane * padded, depth, head + lanes.token[lane] * token_stride);
  }
}

// Normalises a tile's result and stores output and lse.
template <class Element>
HWY_INLINE void finish(const Partial& partial, std::size_t depth, const LaneTokens& lanes, Element* output, std::int64_t token_stride,
                       float* lse, float* rows) {
  const FloatTag tag;
  const FloatVector inverse = hn::Div(hn::Set(tag, 1.0f), hn::Load(tag, partial.total));
  store_columns(partial.sums, depth, inverse, lanes, output, token_stride, rows);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    if (!lanes.stored[lane]) continue;
    lse[lanes.token[lane]] = static_cast<float>(partial.maximum[lane] * kLn2 + std::log(partial.total[lane]));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
