// The softmax of a tile of grid queries, stage by stage: masks of window and grid, one maximum or a running one, weights.
#pragma once

#include "kernels/cuda/sm90/element.cuh"
#include "kernels/cuda/sm90/forward_arguments.h"
#include "kernels/cuda/sm90/softmax.cuh"
#include "kernels/cuda/sm90/window_masks.h"

namespace fovea::kernels::sm90 {

// What weighing a stage came to: no key of it concerns the warp; weights; weights, and what was accumulated before must be rescaled.
enum class Weighed { kNothing, kPlain, kRescale };

template <class Element>
class StageSoftmax {
 public:
  static constexpr Maximum kMaximum = Element::kWideRange ? Maximum::kOnce : Maximum::kOnline;

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
    stale_bias_ = true;
  }

  __device__ __forceinline__ void select_panel(const Segment& segment, int radius_x, int panel) {
    columns_ = panel < kKeptPanels ? kept_columns_ >> 6 * panel : column_mask(segment, radius_x, panel, threadIdx.x % 32);
    stale_bias_ = true;
  }

  // Block of 16 global keys; they are every query's.
  __device__ __forceinline__ Weighed weigh_globals(float (&s)[8], int block, float (&alpha)[2]) {
    std::uint32_t mask = 0;
    float bias[2][4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (block * kGlobalBlock + i / 2 * 8 + threadIdx.x % 4 * 2 + (i & 1) < global_tokens_) mask |= 1u << i;
    const bool changed = rows_.template meet<1, 2>(s, mask, scale_log2_, alpha);
    rows_.seen = global_tokens_ > 0;
    rows_.template bias<2>(mask, bias);
    rows_.template weigh<1, 2>(s, bias, scale_log2_);
    return outcome(changed);
  }

  // The warp's rows see a pair of key rows not at all, whole, or cut by the window's or the grid's edge; offset as in RowWindow.
  __device__ __forceinline__ Weighed weigh_stage(float (&s)[24], const RowWindow& window, int offset, float (&alpha)[2]) {
    if (!window.whole(offset)) {
      if (!window.visible(offset)) return Weighed::kNothing;
      cut(s, window, offset);
    }
    const bool changed = rows_.template meet<kPairRows, 3>(s, columns_, scale_log2_, alpha);
    if (changed || stale_bias_) {
      rows_.template bias<3>(columns_, bias_);
      stale_bias_ = false;
    }
    rows_.template weigh<kPairRows, 3>(s, bias_, scale_log2_);
    return outcome(changed);
  }

  __device__ __forceinline__ const RowSoftmax<kMaximum>& rows() const { return rows_; }

 private:
  static constexpr int kKeptPanels = 5;

  __device__ __forceinline__ static Weighed outcome(bool changed) {
    return changed && kMaximum == Maximum::kOnline ? Weighed::kRescale : Weighed::kPlain;
  }

  __device__ __forceinline__ static void cut(float (&s)[24], const RowWindow& window, int offset) {
#pragma unroll
    for (int key_row = 0; key_row < kPairRows; ++key_row)
#pragma unroll
      for (int row = 0; row < 2; ++row)
        if (!window.sees(row, key_row, offset)) {
#pragma unroll
          for (int block = 0; block < 3; ++block)
            s[(key_row * 3 + block) * 4 + row * 2] = s[(key_row * 3 + block) * 4 + row * 2 + 1] = ptx::minus_infinity();
        }
  }

  const float scale_log2_;
  const int global_tokens_;
  std::uint32_t kept_columns_ = 0;
  std::uint32_t columns_ = 0;                   // column_mask of the panel at hand in the lowest bits
  bool stale_bias_ = true;                      // bias_ belongs to another panel or tile
  float bias_[2][6];
  RowSoftmax<kMaximum> rows_;
};

}  // namespace fovea::kernels::sm90
