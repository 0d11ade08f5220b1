// The softmax of a tile of grid queries, stage by stage: masks of window and grid, weights, a second look where they turn out too large.
#pragma once

#include "kernels/cuda/sm90/element.cuh"
#include "kernels/cuda/sm90/forward_arguments.h"
#include "kernels/cuda/sm90/softmax.cuh"
#include "kernels/cuda/sm90/window_masks.h"

namespace fovea::kernels::sm90 {

// Scores of a pair of key rows, of a stage's.
constexpr int kPairScores = kPairKeys / 2;
template <int kCount>
__device__ __forceinline__ float (&scores_of_pair(float (&s)[kCount], int pair))[kPairScores] {
  return *reinterpret_cast<float (*)[kPairScores]>(s + pair * kPairScores);
}

struct PerRow {
  float of[2];
};

// What weighing a stage came to. Bit j of `pairs`: pair j has weights, else no key of it concerns the warp. too_large: the weights are of
// no use, the shift does not fit these scores; the sums were `before`. rescale: what was accumulated before must be multiplied by alpha.
struct Weighed {
  unsigned pairs;
  bool too_large = false, rescale = false;
  PerRow before{}, alpha{};
};

template <class Element, int kPairs>
class StageSoftmax {
 public:
  static constexpr bool kLooksTwice = Element::kWideRange;      // else the maximum is a running one: float16 has no range to spare
  static constexpr unsigned kAllPairs = (1u << kPairs) - 1;
  using Scores = float[kPairs * kPairScores];

  __device__ __forceinline__ StageSoftmax(float scale_log2, int global_tokens) : scale_log2_(scale_log2), global_tokens_(global_tokens) {}

  // Column masks of a segment's first panels, 6 bits each, are kept; those of wider windows are made as they come.
  __device__ __forceinline__ void begin_segment(const Segment& segment, int radius_x) {
    const int panels = smaller(ptx::uniform(segment.panels), kKeptPanels);
    kept_columns_ = 0;
#pragma unroll 1
    for (int panel = 0; panel < panels; ++panel) kept_columns_ |= column_mask(segment, radius_x, panel, threadIdx.x % 32) << 6 * panel;
  }

  __device__ __forceinline__ void begin_tile() {
    rows_.reset();
    columns_ = kept_columns_;
  }

  // Block of 16 global keys; they are every query's. True: what was accumulated before must be multiplied by alpha.
  __device__ __forceinline__ bool weigh_globals(float (&s)[8], int block, bool first, float (&alpha)[2]) {
    std::uint32_t mask = 0;
    float bias[2][4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (block * kGlobalBlock + i / 2 * 8 + threadIdx.x % 4 * 2 + (i & 1) < global_tokens_) mask |= 1u << i;
    bool changed = false;
    if (first) rows_.template meet_first<1, 2>(s, mask, scale_log2_);
    else changed = rows_.template meet<1, 2>(s, mask, scale_log2_, alpha);
    rows_.template bias<2>(mask, bias);
    rows_.template weigh<1, 2>(s, bias, scale_log2_);
    return changed;
  }

  // Between the global keys and the first stage.
  __device__ __forceinline__ void begin_stages() { rows_.template bias<3>(columns_, bias_); }

  __device__ __forceinline__ void select_panel(const Segment& segment, int radius_x, int panel) {
    columns_ = panel < kKeptPanels ? kept_columns_ >> 6 * panel : column_mask(segment, radius_x, panel, threadIdx.x % 32);
    rows_.template bias<3>(columns_, bias_);
  }

  // The warp's rows see a pair of key rows not at all, whole, or cut by the window's or the grid's edge; offset as in RowWindow.
  __device__ __forceinline__ Weighed weigh_stage(Scores& s, const RowWindow& window, int offset) {
    Weighed weighed{kAllPairs};
    const bool whole = window.whole(offset, kPairs);
    if (!whole) weighed.pairs = cut<!kLooksTwice>(s, window, offset);
    if constexpr (!kLooksTwice) {
      if (weighed.pairs == 0) return weighed;
      weighed.pairs = kAllPairs;
      weighed.rescale = rows_.template meet<kPairs * kPairRows, 3>(s, columns_, scale_log2_, weighed.alpha.of);
      if (weighed.rescale) rows_.template bias<3>(columns_, bias_);
      rows_.template weigh<kPairs * kPairRows, 3>(s, bias_, scale_log2_);
      return weighed;
    }
    if (global_tokens_ == 0 && weighed.pairs != 0 && rows_.any_unseen()) meet_first(s, weighed.pairs);
    weighed.before = {rows_.sum[0], rows_.sum[1]};
    if (whole) {
      rows_.template weigh<kPairs * kPairRows, 3>(s, bias_, scale_log2_);
    } else {
#pragma unroll
      for (int pair = 0; pair < kPairs; ++pair)
        if (weighed.pairs >> pair & 1) rows_.template weigh<kPairRows, 3>(scores_of_pair(s, pair), bias_, scale_log2_);
    }
    weighed.too_large = __any_sync(~0u, fmaxf(rows_.sum[0], rows_.sum[1]) > kLargestSum) != 0;
    return weighed;
  }

  // A second look at the scores of a stage whose weights were too large; what was accumulated before must be multiplied by alpha. All its
  // pairs have weights then.
  __device__ __forceinline__ void weigh_again(Scores& s, const RowWindow& window, int offset, const PerRow& before,
                                              float (&alpha)[2]) {
#pragma unroll
    for (int row = 0; row < 2; ++row) rows_.sum[row] = before.of[row];
    if (!window.whole(offset, kPairs)) cut<true>(s, window, offset);
    rows_.template meet_again<kPairs * kPairRows, 3>(s, columns_, scale_log2_, alpha);
    rows_.template bias<3>(columns_, bias_);
    rows_.template weigh<kPairs * kPairRows, 3>(s, bias_, scale_log2_);
  }

  __device__ __forceinline__ const RowSoftmax& rows() const { return rows_; }

 private:
  static constexpr int kKeptPanels = 5;
  // Of the weights that a thread may add up: 2^90. Leaves values of 2^36; what a new shift may lose of older weights, below float32's
  // range, is 2^-36 of the row.
  static constexpr float kLargestSum = 1.2379400392853803e27f;

  // The first shift, where no global key has given it; of the pairs that are visible.
  __device__ __forceinline__ void meet_first(Scores& s, unsigned pairs) {
#pragma unroll
    for (int pair = 0; pair < kPairs; ++pair)
      if (!(pairs >> pair & 1)) {
#pragma unroll
        for (float& x : scores_of_pair(s, pair)) x = ptx::minus_infinity();
      }
    rows_.template meet_first<kPairs * kPairRows, 3>(s, columns_, scale_log2_);
    rows_.template bias<3>(columns_, bias_);
  }

  // Returns which pairs are visible; those that are not are cut off only if asked for.
  template <bool kAll>
  __device__ __forceinline__ static unsigned cut(Scores& s, const RowWindow& window, int offset) {
    unsigned pairs = 0;
#pragma unroll
    for (int pair = 0; pair < kPairs; ++pair) {
      const int at = offset + pair * kPairRows;
      if (window.visible(at)) pairs |= 1u << pair;
      if (!window.whole(at) && (kAll || window.visible(at))) cut_rows(scores_of_pair(s, pair), window, at);
    }
    return pairs;
  }

  const float scale_log2_;
  const int global_tokens_;
  std::uint32_t kept_columns_ = 0;
  std::uint32_t columns_ = 0;                   // column_mask of the panel at hand in the lowest bits
  float bias_[2][6];
  RowSoftmax rows_;
};

}  // namespace fovea::kernels::sm90
