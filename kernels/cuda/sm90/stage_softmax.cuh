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

// What weighing a stage came to. too_large: the weights are of no use, the shift does not fit these scores; the sums were `before`.
// rescale: what was accumulated before must be multiplied by alpha.
struct Weighed {
  bool too_large = false, rescale = false;
  PerRow before{}, alpha{};
};

template <class Element, int kPairs>
class StageSoftmax {
 public:
  static constexpr bool kLooksTwice = Element::kWideRange;      // else the maximum is a running one: float16 has no range to spare
  static constexpr int kRows = kPairs * kPairRows;
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

  // row: the stage's first of the grid.
  __device__ __forceinline__ Weighed weigh_stage(Scores& s, const RowReach& reach, int row) {
    Weighed weighed;
    const bool whole = reach.whole(row, kRows);
    if constexpr (!kLooksTwice) {
      if (!whole) cut(s, reach, row);
      weighed.rescale = rows_.template meet<kRows, 3>(s, columns_, scale_log2_, weighed.alpha.of);
      if (weighed.rescale) rows_.template bias<3>(columns_, bias_);
      rows_.template weigh<kRows, 3>(s, bias_, scale_log2_);
      return weighed;
    }
    if (global_tokens_ == 0 && rows_.any_unseen()) meet_first(s, reach, row);
    weighed.before = {rows_.sum[0], rows_.sum[1]};
    if (whole) rows_.template weigh<kRows, 3>(s, bias_, scale_log2_); else weigh_visible(s, reach, row);
    weighed.too_large = __any_sync(~0u, fmaxf(rows_.sum[0], rows_.sum[1]) > kLargestSum) != 0;
    return weighed;
  }

  // A second look at the scores of a stage whose weights were too large; what was accumulated before must be multiplied by alpha.
  __device__ __forceinline__ void weigh_again(Scores& s, const RowReach& reach, int row, const PerRow& before, float (&alpha)[2]) {
#pragma unroll
    for (int i = 0; i < 2; ++i) rows_.sum[i] = before.of[i];
    if (!reach.whole(row, kRows)) cut(s, reach, row);
    rows_.template meet_again<kRows, 3>(s, columns_, scale_log2_, alpha);
    rows_.template bias<3>(columns_, bias_);
    rows_.template weigh<kRows, 3>(s, bias_, scale_log2_);
  }

  __device__ __forceinline__ const RowSoftmax& rows() const { return rows_; }

 private:
  static constexpr int kKeptPanels = 5;
  // Of the weights that a thread may add up: 2^90. Leaves values of 2^36; what a new shift may lose of older weights, below float32's
  // range, is 2^-36 of the row.
  static constexpr float kLargestSum = 1.2379400392853803e27f;

  // The first shift, where no global key has given it; of rows that see any of the stage.
  __device__ __forceinline__ void meet_first(Scores& s, const RowReach& reach, int row) {
    cut(s, reach, row);
    rows_.template meet_first<kRows, 3>(s, columns_, scale_log2_);
    rows_.template bias<3>(columns_, bias_);
  }

  // Weights of a stage that a row sees in part: zeros for a pair of key rows that it does not see at all.
  __device__ __forceinline__ void weigh_visible(Scores& s, const RowReach& reach, int row) {
#pragma unroll
    for (int pair = 0; pair < kPairs; ++pair)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        auto& of_pair = scores_of_pair(s, pair);
        const int at = row + pair * kPairRows;
        if (reach.visible(i, at, kPairRows)) {
#pragma unroll
          for (int k = 0; k < kPairRows; ++k)
            if (!reach.sees(i, at + k)) cut_row(of_pair, k, i);
          rows_.template weigh_row<kPairRows, 3>(of_pair, i, bias_, scale_log2_);
        } else {
#pragma unroll
          for (int x = 0; x < kPairScores; ++x)
            if (x / 2 % 2 == i) ptx::zero_here(of_pair[x]);
        }
      }
  }

  // What a row does not see: minus infinity.
  __device__ __forceinline__ static void cut(Scores& s, const RowReach& reach, int row) {
#pragma unroll
    for (int k = 0; k < kRows; ++k)
#pragma unroll
      for (int i = 0; i < 2; ++i)
        if (!reach.sees(i, row + k)) cut_row(scores_of_pair(s, k / kPairRows), k % kPairRows, i);
  }
  __device__ __forceinline__ static void cut_row(float (&pair)[kPairScores], int key_row, int i) {
#pragma unroll
    for (int block = 0; block < 3; ++block)
      pair[(key_row * 3 + block) * 4 + i * 2] = pair[(key_row * 3 + block) * 4 + i * 2 + 1] = ptx::minus_infinity();
  }

  const float scale_log2_;
  const int global_tokens_;
  std::uint32_t kept_columns_ = 0;
  std::uint32_t columns_ = 0;                   // column_mask of the panel at hand in the lowest bits
  float bias_[2][6];
  RowSoftmax rows_;
};

}  // namespace fovea::kernels::sm90
