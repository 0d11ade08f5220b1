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

#include "kernels/cpu/simd/matrix-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

// Scores of a chunk stay in the L1 cache. A 17 x 17 window and 8 global tokens fit in one.
constexpr std::size_t kChunkTokens = 512;
// Tokens are scored in groups: a run's end is padded to one, and the padding hidden.
constexpr std::size_t kTokenGroup = 4;
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

struct PackedTokens {
  float* keys;     // panels
  float* values;   // panels
  std::size_t capacity, padded;
};

HWY_INLINE PackedTokens take_tokens(Arena& arena, std::size_t capacity, std::size_t padded) {
  float* keys = arena.take(capacity * padded);
  return {keys, arena.take(capacity * padded), capacity, padded};
}

// Neighbouring packed tokens. Those after count, up to the next multiple of kTokenGroup, are read and must be hidden by the bias.
struct Run {
  std::size_t first, count;
  const float* column_bias;   // [padded_tokens(count)][lanes]
  const float* row_bias;      // [lanes]
};

// The runs of one softmax step.
struct Chunk {
  Run runs[kChunkTokens / kTokenGroup];
  std::size_t size = 0, tokens = 0;
  bool fits(std::size_t count) const { return tokens + padded_tokens(count) <= kChunkTokens; }
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
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    case 12: return score_rows<12>(rows);
    case 16: return score_rows<16>(rows);
    case 20: return score_rows<20>(rows);
#endif
    default: return score_rows<kScoreRows>(rows);
  }
}

// Scores of a run, in groups of nearly equal size that fill the registers. Returns the greater of `maximum` and the scores.
HWY_INLINE FloatVector score_run(const PackedTokens& tokens, const float* centre, const Run& run, float* scores, FloatVector maximum) {
  std::size_t left = padded_tokens(run.count);
  for (std::size_t done = 0; left > 0;) {
    const std::size_t group = padded_tokens(hwy::DivCeil(left, hwy::DivCeil(left, kScoreRows)));
    maximum = hn::Max(maximum, score_group(group, {.tokens = tokens.keys + (run.first + done) * kPanel, .capacity = tokens.capacity,
                                                   .padded = tokens.padded, .centre = centre,
                                                   .column_bias = run.column_bias + done * kLanes, .row_bias = run.row_bias,
                                                   .scores = scores + done * kLanes}));
    done += group;
    left -= group;
  }
  return maximum;
}

// One step of the softmax: `centre` holds the tile's queries [padded][lanes], scaled by scale * log2(e). scores: kChunkTokens * lanes.
HWY_NOINLINE void attend(const PackedTokens& tokens, const float* centre, const Chunk& chunk, float* scores, const Partial& partial) {
  const FloatTag tag;
  const FloatVector old_maximum = hn::Load(tag, partial.maximum);
  FloatVector maximum = old_maximum;
  float* row = scores;
  for (std::size_t r = 0; r < chunk.size; ++r) {
    maximum = score_run(tokens, centre, chunk.runs[r], row, maximum);
    row += padded_tokens(chunk.runs[r].count) * kLanes;
  }
  const FloatVector correction = exp2_nonpositive(hn::Sub(old_maximum, maximum));
  FloatVector total = hn::Mul(correction, hn::Load(tag, partial.total));
  for (std::size_t t = 0; t < chunk.tokens; ++t) {
    const FloatVector weight = exp2_nonpositive(hn::Sub(hn::Load(tag, scores + t * kLanes), maximum));
    hn::Store(weight, tag, scores + t * kLanes);
    total = hn::Add(total, weight);
  }
  hn::Store(maximum, tag, partial.maximum);
  hn::Store(total, tag, partial.total);
  for (std::size_t d = 0; d < tokens.padded; d += kDepthRows) {
    FloatVector sums[kDepthRows];
    for (std::size_t i = 0; i < kDepthRows; ++i) sums[i] = hn::Mul(correction, hn::Load(tag, partial.sums + (d + i) * kLanes));
    const float* values = tokens.values + d / kPanel * tokens.capacity * kPanel + d % kPanel;
    const float* weights = scores;
    for (std::size_t r = 0; r < chunk.size; ++r) {
      const std::size_t count = padded_tokens(chunk.runs[r].count);
      add_weighted(values + chunk.runs[r].first * kPanel, weights, count, sums);
      weights += count * kLanes;
    }
    for (std::size_t i = 0; i < kDepthRows; ++i) hn::Store(sums[i], tag, partial.sums + (d + i) * kLanes);
  }
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

// Columns [padded][lanes] to the lanes' tokens.
template <class Element>
HWY_INLINE void store_columns(const float* columns, std::size_t depth, const LaneTokens& lanes, Element* head, std::int64_t token_stride,
                              float* rows) {
  const std::size_t padded = hwy::RoundUpTo(depth, kPanel);
  transpose(columns, padded, kLanes, rows);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    if (lanes.stored[lane]) store_row(rows + lane * padded, depth, head + lanes.token[lane] * token_stride);
  }
}

// Normalises a tile's result in place and stores output and lse.
template <class Element>
HWY_INLINE void finish(const Partial& partial, std::size_t depth, const LaneTokens& lanes, Element* output, std::int64_t token_stride,
                       float* lse, float* rows) {
  const FloatTag tag;
  const FloatVector inverse = hn::Div(hn::Set(tag, 1.0f), hn::Load(tag, partial.total));
  for (std::size_t d = 0; d < hwy::RoundUpTo(depth, kPanel); ++d) {
    hn::Store(hn::Mul(inverse, hn::Load(tag, partial.sums + d * kLanes)), tag, partial.sums + d * kLanes);
  }
  store_columns(partial.sums, depth, lanes, output, token_stride, rows);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    if (!lanes.stored[lane]) continue;
    lse[lanes.token[lane]] = static_cast<float>(partial.maximum[lane] * kLn2 + std::log(static_cast<double>(partial.total[lane])));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
