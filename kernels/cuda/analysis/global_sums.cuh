// The sums of global tokens, which see all: a thread block takes a slice of the sequence for one head; finish_globals adds the slices up.
#pragma once

#include "kernels/cuda/analysis/grid_sums.cuh"

namespace fovea::kernels::analysis {

constexpr int kSliceTokens = 2048;

// Of one head and slice: sum and, for kLse, the maximum that it is relative to.
struct Partial { float total, maximum; };

__device__ inline OtherToken token_of_sequence(const Arguments& arguments, std::int64_t place) {
  const std::int64_t cell = place - arguments.globals;
  if (cell < 0) return {-1, int(place), true};
  const int y = int(cell / arguments.width);
  return {y, int(cell - std::int64_t(y) * arguments.width), y < arguments.height};
}

// Eight tokens from `first` on against sixteen global tokens.
template <class Element, int kDim, Mode kMode>
__device__ inline void add_group(const Arguments& arguments, std::int64_t first, int head, const OwnTokens<Element, kDim>& own,
                                 Sums<kMode>& sums) {
  const int lane = threadIdx.x % 32, pair = lane % 4 * 2;
  const Term mine = term_of<kMode>(arguments, token_of_sequence(arguments, first + lane % kGroup), head);
  if (!__any_sync(~0u, mine.weight != 0.f)) return;
  const Term terms[2] = {{__shfl_sync(~0u, mine.bias, pair), __shfl_sync(~0u, mine.weight, pair)},
                         {__shfl_sync(~0u, mine.bias, pair + 1), __shfl_sync(~0u, mine.weight, pair + 1)}};
  const std::int64_t place = first + lane / 4;
  const bool exists = token_of_sequence(arguments, place).exists;
  const auto row = load_row<Element, kDim>(arguments.other, exists ? place : 0, head, exists);
  float scores[4] = {};
#pragma unroll
  for (int i = 0; i < RowLayout<Element, kDim>::kPieces; ++i) {
    multiply_piece<Element>(scores, own.row[0].piece[i], own.row[1].piece[i], row.piece[i]);
  }
  const bool seen[2] = {true, true};
  sums.add(0, own.bias[0], arguments.scale_log2, {scores[0], scores[1]}, seen, terms);
  sums.add(1, own.bias[1], arguments.scale_log2, {scores[2], scores[3]}, seen, terms);
}

// gridDim: slices, heads. partials: [slices][heads of the list][globals].
template <class Element, int kDim, Mode kMode>
__global__ void __launch_bounds__(kThreads) global_sums(const __grid_constant__ Arguments arguments, Partial* partials) {
  __shared__ Partial warps[kWarps][16];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, head = arguments.heads.index[blockIdx.y];
  const std::int64_t tokens = arguments.globals + std::int64_t(arguments.height) * arguments.width;
  const std::int64_t begin = std::int64_t(blockIdx.x) * kSliceTokens, end = min(begin + kSliceTokens, tokens);
  for (int first_own = 0; first_own < arguments.globals; first_own += 16) {
    OwnTokens<Element, kDim> own;
    for (int r = 0; r < 2; ++r) {
      const int global = first_own + lane / 4 + 8 * r;
      const bool exists = global < arguments.globals;
      own.row[r] = load_row<Element, kDim>(arguments.own, exists ? global : 0, head, exists);
      own.bias[r] = kMode == Mode::kColumn && exists ? -arguments.global_lse[head * arguments.global_lse_stride + global] * kLog2E : 0.f;
    }
    Sums<kMode> sums;
    for (std::int64_t first = begin + warp * kGroup; first < end; first += kWarps * kGroup) {
      add_group<Element, kDim, kMode>(arguments, first, head, own, sums);
    }
    sums.reduce();
    for (int r = 0; r < 2; ++r) {
      if (lane % 4 == 0) warps[warp][lane / 4 + 8 * r] = {sums.total[r], sums.maximum[r]};
    }
    __syncthreads();
    const int global = first_own + int(threadIdx.x);
    if (threadIdx.x < 16 && global < arguments.globals) {
      Sums<kMode> all;
      for (int w = 0; w < kWarps; ++w) {
        const Partial part = warps[w][threadIdx.x];
        if (kMode == Mode::kLse) all.merge(0, part.maximum, part.total);
        else all.total[0] += part.total;
      }
      partials[(std::int64_t(blockIdx.x) * gridDim.y + blockIdx.y) * arguments.globals + global] = {all.total[0], all.maximum[0]};
    }
    __syncthreads();
  }
}

// gridDim: globals. output [globals].
template <Mode kMode>
__global__ void __launch_bounds__(32) finish_globals(const __grid_constant__ Arguments arguments, const Partial* partials, int slices,
                                                     float* output) {
  const int global = blockIdx.x, parts = slices * arguments.heads.count;
  double total = 0;
  for (int i = threadIdx.x; i < parts; i += 32) total += partials[std::int64_t(i) * arguments.globals + global].total;
  for (int step = 16; step > 0; step /= 2) total += __shfl_xor_sync(~0u, total, step);
  if (threadIdx.x == 0) output[global] = float(total * arguments.factor) + (arguments.accumulate ? output[global] : 0.f);
}

// gridDim: globals, heads of the list. output [heads][globals].
__global__ void __launch_bounds__(32) finish_global_lse(const __grid_constant__ Arguments arguments, const Partial* partials, int slices,
                                                        float* output, std::int64_t head_stride) {
  const int global = blockIdx.x, head = blockIdx.y;
  const auto part = [&](int slice) {
    return partials[(std::int64_t(slice) * arguments.heads.count + head) * arguments.globals + global];
  };
  float maximum = kNoMaximum;
  for (int i = threadIdx.x; i < slices; i += 32) maximum = fmaxf(maximum, part(i).maximum);
  for (int step = 16; step > 0; step /= 2) maximum = fmaxf(maximum, __shfl_xor_sync(~0u, maximum, step));
  double total = 0;
  for (int i = threadIdx.x; i < slices; i += 32) total += double(part(i).total) * exp2(double(part(i).maximum - maximum));
  for (int step = 16; step > 0; step /= 2) total += __shfl_xor_sync(~0u, total, step);
  if (threadIdx.x == 0) output[arguments.heads.index[head] * head_stride + global] = float((maximum + log2(total)) * double(kLn2));
}

}  // namespace fovea::kernels::analysis
