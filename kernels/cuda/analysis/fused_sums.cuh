// The sums of grid tokens with the heads made one by their maximum or minimum: as in grid_sums.cuh a thread block owns 16 x 8 tokens, but
// visits the tokens around them stage by stage, and within a stage head by head, with the best exponent of every pair in registers. So one
// exponential serves all heads. A minimum is the maximum of exponents with the other sign.
#pragma once

#include "kernels/cuda/analysis/fused_copies.cuh"

namespace fovea::kernels::analysis {

constexpr float kNoExponent = -3e38f;     // below all others

// Sums of a lane's two own tokens: of weighted terms, and of the terms themselves.
struct FusedTotals {
  float weighted[2] = {0.f, 0.f}, plain[2] = {0.f, 0.f};

  // exponent: sign * natural exponent, as kept.
  __device__ void add(int row, float exponent, float sign, bool seen, float weight) {
    const float term = ptx::exp2_approximate(seen ? sign * kLog2E * exponent : kHidden);
    weighted[row] = fmaf(term, weight, weighted[row]);
    plain[row] += term;
  }

  // Over the four lanes that share the own tokens.
  __device__ void reduce() {
#pragma unroll
    for (int row = 0; row < 2; ++row) {
#pragma unroll
      for (int step = 1; step < 4; step *= 2) {
        weighted[row] += __shfl_xor_sync(~0u, weighted[row], step);
        plain[row] += __shfl_xor_sync(~0u, plain[row], step);
      }
    }
  }
};

template <class Float>
__device__ inline float fused_result(const Arguments& arguments, Float weighted, Float plain, float input) {
  if (arguments.result == FusedResult::kSum) return float(weighted);
  const Float above = arguments.result == FusedResult::kShare ? Float(input) : weighted;
  return plain > 0 ? float(above / plain) : 0.f;                      // a row of minima may be zero altogether
}

// Makes best[] that of sixteen own tokens and eight others, another head considered. own_bias: -sign * log-sum-exp.
__device__ inline void keep_best(float (&best)[4], const float (&scores)[4], const Arguments& arguments, const float (&own_bias)[2],
                                 const float (&lse)[2]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float bias = fmaf(-arguments.sign, lse[i % 2], own_bias[i / 2]);
    best[i] = fmaxf(best[i], fmaf(scores[i], arguments.signed_scale, bias));
  }
}

// A warp's sixteen own tokens, and what it knows of one stage.
template <class Element, int kDim>
class FusedWarp {
  using Stage = FusedStage<Element, kDim>;
  using Layout = RowLayout<Element, kDim>;

 public:
  __device__ FusedWarp(const Arguments& arguments, const Frame& frame) : arguments_(arguments), frame_(frame) {
    // What no thread owns is read as if it were the first token and never stored.
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const OtherToken token = own(r);
      from_[r] = static_cast<const Element*>(arguments.own.data) + (token.exists ? token.place(arguments) : 0) * arguments.own.token_stride;
      const bool known = arguments.own_are_queries && token.exists && arguments.lse_rect.holds(token.y, token.x);
      lse_[r] = arguments.lse + (known ? arguments.lse_rect.index(token.y, token.x) : 0);
    }
  }

  // The next head's rows: of the first one after the last.
  __device__ void load(bool last) {
    const int heads = last ? 1 - arguments_.heads.count : 1;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      row_[r] = load_row<Element, kDim>({from_[r], 0, 0}, 0, 0, true);
      from_[r] += heads * arguments_.own.head_stride;
      bias_[r] = 0.f;
      if (arguments_.own_are_queries) {
        bias_[r] = -arguments_.sign * __ldg(lse_[r]);
        lse_[r] += heads * arguments_.lse_head_stride;
      }
    }
  }

  // Before the first head of a stage.
  __device__ void begin(int number) {
    number = ptx::known_here(number);
    visible_ = 0;
    const int first = number * Stage::kGroups, count = min(Stage::kGroups, frame_.groups - first);
    row_of_first_ = int(unsigned(first) / unsigned(frame_.groups_a_row));
    group_of_first_ = first - row_of_first_ * frame_.groups_a_row;
    for_each_group(number, [&](int g, bool global, int row, int) {
      if (g < count && (global || unsigned(row - first_row()) <= unsigned(2 * arguments_.radius_y + 1))) visible_ |= 1u << g;
#pragma unroll
      for (int i = 0; i < 4; ++i) best_[g][i] = kNoExponent;
    });
  }

  __device__ void add_head(const Stage& stage) {
    const int lane = threadIdx.x % 32, column = lane / 4, pair = lane % 4 * 2;
#pragma unroll
    for (int g = 0; g < Stage::kGroups; ++g) {
      if (!(visible_ >> g & 1)) continue;
      float scores[4] = {};
#pragma unroll
      for (int i = 0; i < Layout::kPieces; ++i) {
        multiply_piece<Element>(scores, row_[0].piece[i], row_[1].piece[i],
                                stage.rows[Layout::chunk_place(g * kGroup + column, lane % 4 + 4 * i)]);
      }
      const float lse[2] = {stage.lse[g * kGroup + pair], stage.lse[g * kGroup + pair + 1]};
      keep_best(best_[g], scores, arguments_, bias_, lse);
    }
  }

  // After the last head.
  __device__ void end(const Stage& stage) {
    const int lane = threadIdx.x % 32, column = lane / 4, pair = lane % 4 * 2;
    for_each_group(stage.number, [&](int g, bool global, int row, int offset) {
      if (!(visible_ >> g & 1)) return;
      const int dy = row - first_row(), dx = offset + pair - column;
      const unsigned reach_y = 2 * arguments_.radius_y, reach_x = 2 * arguments_.radius_x;
      const bool rows[2] = {unsigned(dy) <= reach_y, unsigned(dy - 1) <= reach_y};
      const bool columns[2] = {unsigned(dx) <= reach_x, unsigned(dx + 1) <= reach_x};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const bool seen = global || (rows[i / 2] && columns[i % 2]);
        totals_.add(i / 2, best_[g][i], arguments_.sign, seen, stage.weight[g * kGroup + pair + i % 2]);
      }
    });
  }

  __device__ void store() {
    totals_.reduce();
    if (threadIdx.x % 4 != 0) return;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const OtherToken token = own(r);
      if (!arguments_.output_rect.holds(token.y, token.x)) continue;
      const std::int64_t index = arguments_.output_rect.index(token.y, token.x);
      const float input = arguments_.result == FusedResult::kShare ? arguments_.input[index] : 0.f;
      arguments_.output[index] = fused_result(arguments_, totals_.weighted[r], totals_.plain[r], input);
    }
  }

 private:
  __device__ static int first_row() { return int(threadIdx.x) / 32 * 2; }
  __device__ OtherToken own(int r) const { return frame_.own(arguments_, first_row() + r, threadIdx.x % 32 / 4); }

  // visit(group of the stage, whether of global tokens, row of the frame, column of its first token).
  template <class Visit>
  __device__ void for_each_group(int number, Visit visit) {
    int row = row_of_first_, group = group_of_first_;
#pragma unroll
    for (int g = 0; g < Stage::kGroups; ++g) {
      visit(g, number * Stage::kGroups + g >= frame_.grid_groups, row, group * kGroup);
      if (++group == frame_.groups_a_row) group = 0, ++row;
    }
  }

  const Arguments& arguments_;
  const Frame& frame_;
  const Element* from_[2];                          // the next head's row
  const float* lse_[2];
  LaneRow<Element, kDim> row_[2];
  float bias_[2], best_[Stage::kGroups][4];
  unsigned visible_ = 0;
  int row_of_first_ = 0, group_of_first_ = 0;
  FusedTotals totals_;
};

// gridDim: tiles across, tiles down, phases of the dilation. A third block on a multiprocessor would spill registers and lose a sixth.
template <class Element, int kDim>
__global__ void __launch_bounds__(kThreads, kDim * sizeof(Element) <= 128 ? 2 : 1) fused_sums(const __grid_constant__ Arguments arguments) {
  __shared__ FusedStage<Element, kDim> stages[kFusedStages];
  const Frame frame(arguments);
  FusedCopies<Element, kDim> copies(arguments, frame);
  FusedWarp<Element, kDim> warp(arguments, frame);
  for (int i = 0; i < kFusedStages - 1; ++i) copies.next(stages[i]);
  for (int step = 0, head = 0;; ++step) {
    warp.load(head + 1 == arguments.heads.count);
    sm80::wait_for_copies<kFusedStages - 2>();
    __syncthreads();                                                  // this step's stage is whole, and the last one's may be overwritten
    const auto& stage = stages[step % kFusedStages];
    if (stage.number < 0) break;
    copies.next(stages[(step + kFusedStages - 1) % kFusedStages]);
    if (head == 0) warp.begin(stage.number);
    warp.add_head(stage);
    if (++head < arguments.heads.count) continue;
    warp.end(stage);
    head = 0;
  }
  warp.store();
}

}  // namespace fovea::kernels::analysis
