// Rows of attention: see kernels/cpu/window_rows.h. A vector holds one number of each of neighbouring queries; the key vectors of an offset
// are loaded unaligned from the packed row, and each serves several rows of queries while it is in a register.
#if defined(FOVEA_KERNELS_CPU_SIMD_WINDOW_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_WINDOW_ROWS_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_WINDOW_ROWS_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_WINDOW_ROWS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/simd/matrix-inl.h"
#include "kernels/cpu/window_rows.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

constexpr std::size_t kRowVectors = kRowLanes / kLanes;
constexpr double kLn2Wide = 0.693147180559945309417;
static_assert(kRowLanes % kLanes == 0, "a block of lanes is whole vectors");

template <class Element>
HWY_INLINE void pack_columns_of(const TokenColumns& from, float* target, std::int64_t stride) {
  const FloatTag tag;
  const auto depth = static_cast<std::size_t>(from.head_dim), padded = hwy::RoundUpTo(depth, kPanel);
  const auto* tokens = static_cast<const Element*>(from.tokens);
  HWY_ALIGN float rows[kRowLanes * 256], columns[kRowLanes * 256];
  for (std::int64_t first = 0; first < from.count; first += kRowLanes) {
    const auto lanes = std::min(kRowLanes, from.count - first);
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      load_row(tokens + (first + lane) * from.token_stride, depth, padded, rows + lane * static_cast<std::int64_t>(padded));
    }
    transpose(rows, kRowLanes, padded, columns);
    for (std::size_t d = 0; d < depth; ++d) {
      float* to = target + static_cast<std::int64_t>(d) * stride + first;
      if (lanes == kRowLanes) {
        for (std::size_t v = 0; v < kRowLanes; v += kLanes) {
          hn::StoreU(hn::Mul(hn::Set(tag, from.factor), hn::Load(tag, columns + d * kRowLanes + v)), tag, to + v);
        }
      } else {
        for (std::int64_t lane = 0; lane < lanes; ++lane) to[lane] = columns[d * kRowLanes + static_cast<std::size_t>(lane)] * from.factor;
      }
    }
  }
}

void pack_columns(const TokenColumns& from, float* target, std::int64_t stride) {
  with_element_type(from.dtype, [&](auto* element) { pack_columns_of<std::remove_pointer_t<decltype(element)>>(from, target, stride); });
}

// Neighbouring offsets of one row of keys, for kRows rows of queries.
struct ScoreStep {
  const float* query;            // of the first of these rows
  const float* keys;             // at the first offset
  float* scores;                 // of the first row and offset
  std::int64_t query_stride, score_stride;   // from one row of queries to the next
  std::int64_t channel_stride, dilation, head_dim;
};

template <int kRows, int kOffsets>
HWY_INLINE void score_step(const ScoreStep& step) {
  const FloatTag tag;
  for (std::size_t half = 0; half < kRowVectors; ++half) {
    const float* query = step.query + half * kLanes;
    const float* keys = step.keys + half * kLanes;
    FloatVector sums[kRows][kOffsets];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int c = 0; c < kOffsets; ++c) sums[r][c] = hn::Zero(tag);
    }
    for (std::int64_t d = 0; d < step.head_dim; ++d, query += kRowLanes, keys += step.channel_stride) {
      FloatVector key[kOffsets];
#pragma GCC unroll 8
      for (int c = 0; c < kOffsets; ++c) key[c] = hn::LoadU(tag, keys + c * step.dilation);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const FloatVector centre = hn::LoadU(tag, query + r * step.query_stride);
#pragma GCC unroll 8
        for (int c = 0; c < kOffsets; ++c) sums[r][c] = hn::MulAdd(centre, key[c], sums[r][c]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int c = 0; c < kOffsets; ++c) hn::StoreU(sums[r][c], tag, step.scores + r * step.score_stride + c * kRowLanes + half * kLanes);
    }
  }
}

// A whole row of offsets, kOffsets at a time; the last step repeats some of the one before.
template <int kRows, int kOffsets>
HWY_INLINE void score_row(ScoreStep step, std::int64_t offsets) {
  const float* keys = step.keys;
  float* scores = step.scores;
  const auto at = [&](std::int64_t offset) {
    step.keys = keys + offset * step.dilation;
    step.scores = scores + offset * kRowLanes;
  };
  if (offsets < kOffsets) {
    for (std::int64_t offset = 0; offset < offsets; ++offset) {
      at(offset);
      score_step<kRows, 1>(step);
    }
    return;
  }
  for (std::int64_t offset = 0; offset < offsets; offset += kOffsets) {
    at(std::min(offset, offsets - kOffsets));
    score_step<kRows, kOffsets>(step);
  }
}

HWY_NOINLINE void score_rows_of(std::int64_t rows, const ScoreStep& step, std::int64_t offsets) {
  switch (rows) {   // as many sums as registers hold
    case 1: return score_row<1, 6>(step, offsets);
    case 2: return score_row<2, 6>(step, offsets);
    case 3: return score_row<3, 3>(step, offsets);
    default: return score_row<4, 3>(step, offsets);
  }
}

HWY_INLINE void score_globals(const WindowRows& window, float* scores) {
  const FloatTag tag;
  for (std::int64_t r = 0; r < window.rows; ++r) {
    for (std::int64_t g = 0; g < window.globals; ++g) {
      for (std::size_t v = 0; v < kRowLanes; v += kLanes) {
        FloatVector sum = hn::Zero(tag);
        const float* query = window.query + r * window.head_dim * kRowLanes + v;
        for (std::int64_t d = 0; d < window.head_dim; ++d) {
          sum = hn::MulAdd(hn::LoadU(tag, query + d * kRowLanes), hn::Set(tag, window.global_keys[g * window.head_dim + d]), sum);
        }
        hn::StoreU(sum, tag, scores + (r * window.count() + g) * kRowLanes + static_cast<std::int64_t>(v));
      }
    }
  }
}

// Keys to the left and right of the grid.
HWY_INLINE void hide_columns(const WindowRows& window, float* scores) {
  const std::int64_t reach = window.radius_x * window.dilation;
  if (window.x >= reach && window.x + kRowLanes + reach <= window.grid_width) return;
  for (std::int64_t i = 0; i < 2 * window.radius_y + 1; ++i) {
    for (std::int64_t j = -window.radius_x; j <= window.radius_x; ++j, scores += kRowLanes) {
      const std::int64_t x = window.x + j * window.dilation;
      for (std::int64_t lane = 0; lane < kRowLanes; ++lane) {
        if (x + lane < 0 || x + lane >= window.grid_width) scores[lane] = -std::numeric_limits<float>::infinity();
      }
    }
  }
}

void window_scores(const WindowRows& window, float* scores) {
  score_globals(window, scores);
  const std::int64_t offsets = window.width(), count = window.count();
  const auto row_of = [&](std::int64_t r, std::int64_t i) {   // scores of query row r for its window's row i
    return scores + (r * count + window.globals + i * offsets) * kRowLanes;
  };
  const std::int64_t last = 2 * window.radius_y;
  for (std::int64_t k = 0; k <= last + window.rows - 1; ++k) {   // rows of keys, the dilation apart: row k is query row r's row k - r
    const std::int64_t first = std::max<std::int64_t>(0, k - last), end = std::min(window.rows, k + 1);
    const std::int64_t distance = k - window.radius_y, y = window.y + distance * window.dilation;
    if (y < 0 || y >= window.grid_height) {
      constexpr float kHidden = -std::numeric_limits<float>::infinity();
      for (std::int64_t r = first; r < end; ++r) std::fill_n(row_of(r, k - r), offsets * kRowLanes, kHidden);
      continue;
    }
    score_rows_of(end - first,
                  {.query = window.query + first * window.head_dim * kRowLanes,
                   .keys = window.keys + distance * window.dilation * window.row_stride - window.radius_x * window.dilation,
                   .scores = row_of(first, k - first), .query_stride = window.head_dim * kRowLanes,
                   .score_stride = (count - offsets) * kRowLanes, .channel_stride = window.channel_stride, .dilation = window.dilation,
                   .head_dim = window.head_dim},
                  offsets);
  }
  for (std::int64_t r = 0; r < window.rows; ++r) hide_columns(window, row_of(r, 0));
}

// Sums of a few dozen terms in float32 are added up in float64.
constexpr std::int64_t kFloatTerms = 32;

template <bool kStatistics>
HWY_INLINE void weights_of(float* scores, std::int64_t count, RowSums& sums) {
  const FloatTag tag;
  for (std::size_t v = 0; v < kRowLanes; v += kLanes) {
    float* column = scores + v;
    FloatVector largest = hn::Set(tag, -1e30f);   // finite, so that a lane without keys stays without NaN
    for (std::int64_t key = 0; key < count; ++key) largest = hn::Max(largest, hn::LoadU(tag, column + key * kRowLanes));
    double total[kLanes] = {}, moment[kLanes] = {};
    for (std::int64_t first = 0; first < count; first += kFloatTerms) {
      FloatVector part = hn::Zero(tag), part_moment = hn::Zero(tag);
      for (std::int64_t key = first; key < std::min(count, first + kFloatTerms); ++key) {
        const FloatVector score = hn::Max(hn::Sub(hn::LoadU(tag, column + key * kRowLanes), largest), hn::Set(tag, -150.0f));
        const FloatVector weight = exp2_nonpositive(score);
        hn::StoreU(weight, tag, column + key * kRowLanes);
        part = hn::Add(part, weight);
        if constexpr (kStatistics) part_moment = hn::MulAdd(weight, score, part_moment);
      }
      HWY_ALIGN float buffer[2 * kLanes];
      hn::Store(part, tag, buffer);
      hn::Store(part_moment, tag, buffer + kLanes);
      for (std::size_t lane = 0; lane < kLanes; ++lane) total[lane] += buffer[lane], moment[lane] += buffer[kLanes + lane];
    }
    HWY_ALIGN float top[kLanes];
    hn::Store(largest, tag, top);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double sum = total[lane];
      sums.inverse_sum[v + lane] = sum > 0 ? static_cast<float>(1 / sum) : 0.0f;
      if constexpr (!kStatistics) continue;
      const double log = std::log(sum);
      sums.lse[v + lane] = top[lane] * kLn2Wide + log;
      sums.entropy[v + lane] = log - kLn2Wide * moment[lane] / sum;   // both terms are positive: nothing cancels
    }
  }
}

void window_weights(float* scores, std::int64_t count, RowSums& sums) { weights_of<true>(scores, count, sums); }
void window_weights_alone(float* scores, std::int64_t count, RowSums& sums) { weights_of<false>(scores, count, sums); }

void scale_lanes(float* values, std::int64_t count, const float* factors) {
  const FloatTag tag;
  for (std::size_t v = 0; v < kRowLanes; v += kLanes) {
    const FloatVector factor = hn::LoadU(tag, factors + v);
    for (std::int64_t key = 0; key < count; ++key) {
      float* at = values + key * kRowLanes + v;
      hn::StoreU(hn::Mul(hn::LoadU(tag, at), factor), tag, at);
    }
  }
}

void weighted_sums(const float* weights, const double* numbers, std::int64_t count, double* sums) {
  std::fill_n(sums, kRowLanes, 0.0);
  for (std::int64_t key = 0; key < count; ++key) {
    for (std::int64_t lane = 0; lane < kRowLanes; ++lane) sums[lane] += numbers[key] * static_cast<double>(weights[key * kRowLanes + lane]);
  }
}

void fuse_lanes(const LaneFusionMap& how, const float* weights, float* fused) {
  const FloatTag tag;
  const FloatVector factor = hn::Set(tag, how.factor);
  for (std::int64_t key = 0; key < how.count; ++key) {
    for (std::size_t v = 0; v < kRowLanes; v += kLanes) {
      float* target = fused + how.map[key] * kRowLanes + static_cast<std::int64_t>(v);
      const FloatVector value = hn::LoadU(tag, weights + key * kRowLanes + v), before = hn::LoadU(tag, target);
      switch (how.fusion) {
        case LaneFusion::kAdd: hn::StoreU(hn::MulAdd(value, factor, before), tag, target); break;
        case LaneFusion::kMaximum: hn::StoreU(hn::Max(value, before), tag, target); break;
        case LaneFusion::kMinimum: hn::StoreU(hn::Min(value, before), tag, target); break;
      }
    }
  }
}

void window_dot(const WindowPlane& window, const float* weights, const float* plane, const float* global_numbers, double* sums) {
  const FloatTag tag;
  std::fill_n(sums, kRowLanes, 0.0);
  for (std::int64_t g = 0; g < window.globals; ++g, weights += kRowLanes) {
    for (std::int64_t lane = 0; lane < kRowLanes; ++lane) sums[lane] += static_cast<double>(weights[lane]) * global_numbers[g];
  }
  const std::int64_t offsets = 2 * window.radius_x + 1;
  for (std::int64_t i = -window.radius_y; i <= window.radius_y; ++i, weights += offsets * kRowLanes) {
    const float* row = plane + i * window.dilation * window.plane_stride - window.radius_x * window.dilation;
    for (std::size_t v = 0; v < kRowLanes; v += kLanes) {
      FloatVector part = hn::Zero(tag);
      for (std::int64_t j = 0; j < offsets; ++j) {
        part = hn::MulAdd(hn::LoadU(tag, weights + j * kRowLanes + v), hn::LoadU(tag, row + j * window.dilation + v), part);
      }
      HWY_ALIGN float buffer[kLanes];
      hn::Store(part, tag, buffer);
      for (std::size_t lane = 0; lane < kLanes; ++lane) sums[v + lane] += buffer[lane];
    }
  }
}

void window_spread(const WindowPlane& window, const float* weights, const float* factors, float* plane, double* globals) {
  const FloatTag tag;
  for (std::int64_t g = 0; g < window.globals; ++g, weights += kRowLanes) {
    for (std::int64_t lane = 0; lane < kRowLanes; ++lane) globals[g] += static_cast<double>(weights[lane]) * factors[lane];
  }
  const std::int64_t offsets = 2 * window.radius_x + 1, rows = 2 * window.radius_y + 1;
  const std::int64_t step = window.dilation * window.plane_stride;
  float* corner = plane - window.radius_y * step - window.radius_x * window.dilation;
  // Down a column of keys before the next one, whose sums overlap these by all but one lane: loads would wait for stores otherwise.
  for (std::int64_t j = 0; j < offsets; ++j) {
    for (std::size_t v = 0; v < kRowLanes; v += kLanes) {
      const FloatVector factor = hn::LoadU(tag, factors + v);
      const float* weight = weights + j * kRowLanes + v;
      float* target = corner + j * window.dilation + v;
      for (std::int64_t i = 0; i < rows; ++i, weight += offsets * kRowLanes, target += step) {
        hn::StoreU(hn::MulAdd(hn::LoadU(tag, weight), factor, hn::LoadU(tag, target)), tag, target);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
