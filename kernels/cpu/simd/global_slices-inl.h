// Attention of global queries over a slice of the keys: a lane a query, so that no sum crosses lanes. See kernels/token_steps.h.
#if defined(FOVEA_KERNELS_CPU_SIMD_GLOBAL_SLICES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_GLOBAL_SLICES_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_GLOBAL_SLICES_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_GLOBAL_SLICES_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/cpu/simd/matrix-inl.h"
#include "kernels/cpu/simd/tokens-inl.h"
#include "kernels/cpu/token_steps.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

constexpr std::size_t kSliceStep = 64;      // keys met at a time
constexpr std::size_t kKeysTogether = 8;    // chains of multiply-adds in flight
constexpr float kBelowScores = -4e30f;

// Of one task: queries and sums of values [depth][lane], tokens at hand [kSliceStep][depth], their weights [kSliceStep][lane].
struct SliceMemory {
  std::size_t depth;
  float *queries, *values, *tokens, *weights;
  SliceMemory(int head_dim, float* memory)
      : depth(padded_depth(head_dim)), queries(memory), values(queries + depth * kLanes), tokens(values + depth * kLanes),
        weights(tokens + kSliceStep * depth) {}
};

std::size_t global_slice_memory(const GlobalSlices& part) {
  const std::size_t depth = padded_depth(part.head_dim);
  return 2 * depth * kLanes + kSliceStep * (depth + kLanes);
}

// kLanes queries from first_query on; those that do not exist are zeros.
HWY_INLINE void load_queries(const GlobalSlices& part, int head, int first_query, const SliceMemory& memory) {
  std::memset(memory.queries, 0, memory.depth * kLanes * sizeof(float));
  for (int lane = 0; lane < std::min(static_cast<int>(kLanes), part.global_tokens - first_query); ++lane) {
    const float* query = part.query + (static_cast<std::int64_t>(head) * part.global_tokens + first_query + lane) * part.head_dim;
    float* to = memory.queries + lane;
    for (int d = 0; d < part.head_dim; ++d, to += kLanes) *to = query[d];
  }
}

template <class Element>
HWY_INLINE void load_tokens(const Element* tokens, std::int64_t token_stride, std::size_t head_dim, std::size_t count,
                            const SliceMemory& memory) {
  for (std::size_t i = 0; i < count; ++i, tokens += token_stride) load_row(tokens, head_dim, memory.depth, memory.tokens + i * memory.depth);
}

// Scores of `count` keys into the weights' place; returns their maximum.
HWY_INLINE FloatVector score_keys(std::size_t count, const SliceMemory& memory) {
  const FloatTag tag;
  FloatVector maximum = hn::Set(tag, kBelowScores);
  for (std::size_t first = 0; first < count; first += kKeysTogether) {
    const float* keys = memory.tokens + first * memory.depth;   // past the last: whatever was there, and not looked at
    FloatVector scores[kKeysTogether];
#pragma GCC unroll 8
    for (std::size_t k = 0; k < kKeysTogether; ++k) scores[k] = hn::Zero(tag);
    for (std::size_t d = 0; d < memory.depth; ++d) {
      const FloatVector query = hn::Load(tag, memory.queries + d * kLanes);
#pragma GCC unroll 8
      for (std::size_t k = 0; k < kKeysTogether; ++k) scores[k] = hn::MulAdd(hn::Set(tag, keys[k * memory.depth + d]), query, scores[k]);
    }
#pragma GCC unroll 8
    for (std::size_t k = 0; k < kKeysTogether; ++k) {
      hn::Store(scores[k], tag, memory.weights + (first + k) * kLanes);
      if (first + k < count) maximum = hn::Max(maximum, scores[k]);
    }
  }
  return maximum;
}

// Values of `count` keys by their weights are summed up for themselves, so that no chain of additions is as long as the slice, and added to
// what was there times keep.
HWY_INLINE void add_values(std::size_t count, FloatVector keep, const SliceMemory& memory) {
  const FloatTag tag;
  for (std::size_t first = 0; first < memory.depth; first += kKeysTogether) {
    FloatVector sums[kKeysTogether];
#pragma GCC unroll 8
    for (std::size_t d = 0; d < kKeysTogether; ++d) sums[d] = hn::Zero(tag);
    for (std::size_t k = 0; k < count; ++k) {
      const FloatVector weight = hn::Load(tag, memory.weights + k * kLanes);
#pragma GCC unroll 8
      for (std::size_t d = 0; d < kKeysTogether; ++d) {
        sums[d] = hn::MulAdd(hn::Set(tag, memory.tokens[k * memory.depth + first + d]), weight, sums[d]);
      }
    }
#pragma GCC unroll 8
    for (std::size_t d = 0; d < kKeysTogether; ++d) {
      float* values = memory.values + (first + d) * kLanes;
      hn::Store(hn::MulAdd(hn::Load(tag, values), keep, sums[d]), tag, values);
    }
  }
}

// The difference is taken before it is scaled: scores of some hundreds would lose digits otherwise.
HWY_INLINE FloatVector exp_of_difference(FloatVector score, FloatVector maximum) {
  return exp2_nonpositive(hn::Mul(hn::Sub(score, maximum), hn::Set(FloatTag(), std::numbers::log2e_v<float>)));
}

template <class Element>
HWY_INLINE void attend_slice(const GlobalSlices& part, const GlobalSliceTask& task, const SliceMemory& memory) {
  const FloatTag tag;
  const std::int64_t begin = task.slice * kGlobalSliceTokens, end = std::min<std::int64_t>(part.count, begin + kGlobalSliceTokens);
  FloatVector maximum = hn::Set(tag, kBelowScores), total = hn::Zero(tag);
  const auto load = [&](const ConstView& view, std::int64_t first, std::size_t count) {
    const Element* tokens = static_cast<const Element*>(view.data) + first * view.token_stride + task.head * view.head_stride;
    load_tokens(tokens, view.token_stride, static_cast<std::size_t>(part.head_dim), count, memory);
  };
  load_queries(part, task.head, task.first_query, memory);
  std::memset(memory.values, 0, memory.depth * kLanes * sizeof(float));
  std::memset(memory.tokens, 0, kSliceStep * memory.depth * sizeof(float));
  for (std::int64_t first = begin; first < end; first += static_cast<std::int64_t>(kSliceStep)) {
    const std::size_t count = std::min(kSliceStep, static_cast<std::size_t>(end - first));
    load(part.key, first, count);
    const FloatVector now = hn::Max(maximum, score_keys(count, memory)), keep = exp_of_difference(maximum, now);
    maximum = now;
    FloatVector step_total = hn::Zero(tag);
    for (std::size_t k = 0; k < count; ++k) {
      const FloatVector weight = exp_of_difference(hn::Load(tag, memory.weights + k * kLanes), maximum);
      hn::Store(weight, tag, memory.weights + k * kLanes);
      step_total = hn::Add(step_total, weight);
    }
    total = hn::MulAdd(total, keep, step_total);
    load(part.value, first, count);
    add_values(count, keep, memory);
  }
  float totals[kLanes], maxima[kLanes];
  hn::StoreU(total, tag, totals);
  hn::StoreU(maximum, tag, maxima);
  for (int lane = 0; lane < std::min(static_cast<int>(kLanes), part.global_tokens - task.first_query); ++lane) {
    const auto at = static_cast<std::size_t>(lane);
    const std::int64_t place = (task.slice * part.heads + task.head) * part.global_tokens + task.first_query + lane;
    part.lse[place] = maxima[at] + std::log(totals[at]);
    float* values = part.values + place * part.head_dim;
    for (int d = 0; d < part.head_dim; ++d) values[d] = memory.values[static_cast<std::size_t>(d) * kLanes + at] / totals[at];
  }
}

void attend_from_globals(const GlobalSlices& part, const GlobalSliceTask& task, float* memory) {
  with_element_type(part.dtype, [&](auto* element) {
    attend_slice<std::remove_pointer_t<decltype(element)>>(part, task, SliceMemory(part.head_dim, memory));
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
