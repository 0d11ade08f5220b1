// The sums of global tokens with the heads made one by their maximum or minimum: a thread block takes a slice of the sequence for all
// heads; finish_fused_globals adds the slices up.
#pragma once

#include "kernels/cuda/analysis/fused_sums.cuh"
#include "kernels/cuda/analysis/global_sums.cuh"

namespace fovea::kernels::analysis {

constexpr int kGroupsAtOnce = 4, kWarpTokens = kGroupsAtOnce * kGroup, kFusedSliceTokens = 2 * kWarps * kWarpTokens;
static_assert(kWarpTokens == 32, "a lane knows one token's term");

// Of one slice.
struct FusedPartial { float weighted, plain; };

// Sixteen global tokens.
template <class Element, int kDim>
struct FusedGlobals {
  int place[2];                                    // -1: none

  __device__ explicit FusedGlobals(const Arguments& arguments, int first) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int global = first + int(threadIdx.x) % 32 / 4 + 8 * r;
      place[r] = global < arguments.globals ? global : -1;
    }
  }
  __device__ LaneRow<Element, kDim> row(const Arguments& arguments, int r, int head) const {
    return load_row<Element, kDim>(arguments.own, max(place[r], 0), head, place[r] >= 0);
  }
  __device__ float bias(const Arguments& arguments, int r, int head) const {
    const bool query = arguments.own_are_queries && place[r] >= 0;
    return query ? -arguments.sign * arguments.global_lse[head * arguments.global_lse_stride + place[r]] : 0.f;
  }
};

// The warp's next 32 tokens of the sequence, from `first` on.
template <class Element, int kDim>
__device__ inline void add_fused_groups(const Arguments& arguments, std::int64_t first, const FusedGlobals<Element, kDim>& own,
                                        FusedTotals& totals) {
  const int lane = threadIdx.x % 32, pair = lane % 4 * 2;
  const OtherToken mine = token_of_sequence(arguments, first + lane);
  const FusedTerm term = fused_term(arguments, mine);
  if (!__any_sync(~0u, term.counts)) return;
  const bool query = term.counts && !arguments.own_are_queries;
  const LseColumn column = query ? lse_of_query(arguments, mine) : LseColumn{nullptr, 0};
  float best[kGroupsAtOnce][4];
#pragma unroll
  for (int i = 0; i < kGroupsAtOnce * 4; ++i) best[i / 4][i % 4] = kNoExponent;
  for (int head = 0; head < arguments.heads.count; ++head) {
    const LaneRow<Element, kDim> upper = own.row(arguments, 0, head), lower = own.row(arguments, 1, head);
    const float bias[2] = {own.bias(arguments, 0, head), own.bias(arguments, 1, head)};
    const float lse_of_mine = query ? column.first[head * column.stride] : term.counts ? 0.f : kNever;
#pragma unroll
    for (int g = 0; g < kGroupsAtOnce; ++g) {
      const std::int64_t place = first + g * kGroup + lane / 4;
      const bool exists = token_of_sequence(arguments, place).exists;
      const auto row = load_row<Element, kDim>(arguments.other, exists ? place : 0, head, exists);
      float scores[4] = {};
#pragma unroll
      for (int i = 0; i < RowLayout<Element, kDim>::kPieces; ++i) {
        multiply_piece<Element>(scores, upper.piece[i], lower.piece[i], row.piece[i]);
      }
      const float lse[2] = {__shfl_sync(~0u, lse_of_mine, g * kGroup + pair), __shfl_sync(~0u, lse_of_mine, g * kGroup + pair + 1)};
      keep_best(best[g], scores, arguments, bias, lse);
    }
  }
#pragma unroll
  for (int i = 0; i < kGroupsAtOnce * 4; ++i) {
    const float weight = __shfl_sync(~0u, term.weight, i / 4 * kGroup + pair + i % 2);
    totals.add(i % 4 / 2, best[i / 4][i % 4], arguments.sign, true, weight);
  }
}

// gridDim: slices. partials: [slices][globals].
template <class Element, int kDim>
__global__ void __launch_bounds__(kThreads) fused_global_sums(const __grid_constant__ Arguments arguments, FusedPartial* partials) {
  __shared__ FusedPartial warps[kWarps][16];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const std::int64_t begin = std::int64_t(blockIdx.x) * kFusedSliceTokens;
  for (int first_own = 0; first_own < arguments.globals; first_own += 16) {
    const FusedGlobals<Element, kDim> own(arguments, first_own);
    FusedTotals totals;
    for (int first = warp * kWarpTokens; first < kFusedSliceTokens; first += kWarps * kWarpTokens) {
      add_fused_groups(arguments, begin + first, own, totals);
    }
    totals.reduce();
    for (int r = 0; r < 2; ++r) {
      if (lane % 4 == 0) warps[warp][lane / 4 + 8 * r] = {totals.weighted[r], totals.plain[r]};
    }
    __syncthreads();
    const int global = first_own + int(threadIdx.x);
    if (threadIdx.x < 16 && global < arguments.globals) {
      FusedPartial all{0.f, 0.f};
      for (int w = 0; w < kWarps; ++w) all.weighted += warps[w][threadIdx.x].weighted, all.plain += warps[w][threadIdx.x].plain;
      partials[std::int64_t(blockIdx.x) * arguments.globals + global] = all;
    }
    __syncthreads();
  }
}

// gridDim: globals. output [globals].
__global__ void __launch_bounds__(32) finish_fused_globals(const __grid_constant__ Arguments arguments, const FusedPartial* partials,
                                                           int slices, float* output) {
  const int global = blockIdx.x;
  double weighted = 0, plain = 0;
  for (int i = threadIdx.x; i < slices; i += 32) {
    const FusedPartial part = partials[std::int64_t(i) * arguments.globals + global];
    weighted += part.weighted, plain += part.plain;
  }
  for (int step = 16; step > 0; step /= 2) {
    weighted += __shfl_xor_sync(~0u, weighted, step);
    plain += __shfl_xor_sync(~0u, plain, step);
  }
  const float input = arguments.result == FusedResult::kShare ? arguments.input_globals[global] : 0.f;
  if (threadIdx.x == 0) output[global] = fused_result(arguments, weighted, plain, input);
}

}  // namespace fovea::kernels::analysis
