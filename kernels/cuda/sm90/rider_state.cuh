// What a rider knows of its 8 global queries: a running softmax over the keys it has met, transposed (mma.sync.m16n8k16: 16 keys or 16
// columns of values by 8 queries). A thread's accumulators are of queries 2 * (lane % 4) and the next, rows lane / 4 and 8 further down.
#pragma once

#include "kernels/cuda/sm90/shared_memory.cuh"
#include "kernels/cuda/sm90/softmax.cuh"
#include "kernels/cuda/sm90/warp_mma.cuh"

namespace fovea::kernels::sm90 {

template <class Element, int kHeadDim>
class RiderState {
 public:
  static constexpr int kHalves = kHeadDim / kHalfColumns, kSteps = 4 * kHalves;  // of 16 columns

  // Takes the queries, 8 rows of shared memory for each half of the columns, into registers.
  __device__ __forceinline__ void start(std::uint32_t queries, int half_bytes) {
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
#pragma unroll
      for (int pair = 0; pair < 2; ++pair) {
        std::uint32_t q[4];
        load_matrices<false>(q, swizzled(queries + half * half_bytes, lane() % 8, pair * 4 + lane() / 8));
#pragma unroll
        for (int i = 0; i < 4; ++i) query_[half * 4 + pair * 2 + i / 2][i % 2] = q[i];
      }
#pragma unroll
    for (int j = 0; j < 2; ++j) shift_[j] = kUnseenShift, sum_[j] = 0.0f;
#pragma unroll
    for (int step = 0; step < kSteps; ++step)
#pragma unroll
      for (float& x : values_[step]) x = 0.0f;
  }

  // Attends to kTiles times 16 keys, in groups of 8 that lie group_bytes apart; counts[i]: the thread's key of group i does.
  template <int kTiles>
  __device__ __forceinline__ void attend(std::uint32_t keys, std::uint32_t values, int half_bytes, int group_bytes,
                                         const bool (&counts)[2 * kTiles], float scale_log2) {
    float s[kTiles][4];
    score(s, keys, half_bytes, group_bytes);
    std::uint32_t v[kTiles][4][4];               // of the first half, loaded while the scores are weighed
    load_values(v, values, group_bytes);
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        if (!counts[2 * tile + i / 2]) s[tile][i] = ptx::minus_infinity();
    meet(s, scale_log2);
    std::uint32_t p[kTiles][2];
    weigh(s, scale_log2, p);
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      if (half > 0) load_values(v, values + half * half_bytes, group_bytes);
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
        for (int i = 0; i < 4; ++i) warp_product<Element>(values_[half * 4 + i], v[tile][i], p[tile][0], p[tile][1]);
    }
  }

  // Each thread's sums become the row's.
  __device__ __forceinline__ void add_up() {
#pragma unroll
    for (float& sum : sum_)
#pragma unroll
      for (int distance = 4; distance < 32; distance *= 2) sum += __shfl_xor_sync(~0u, sum, distance);
  }

  // A half of the columns, and with the first one shifts and sums, to shared memory; and from there, added to one's own. After add_up().
  __device__ __forceinline__ void give(float* memory, float* rows, int half) const {
#pragma unroll
    for (int i = 0; i < 16; ++i) memory[i * 32 + lane()] = values_[half * 4 + i / 4][i % 4];
    if (half > 0 || lane() >= 4) return;
#pragma unroll
    for (int j = 0; j < 2; ++j) rows[lane() * 4 + j] = shift_[j], rows[lane() * 4 + 2 + j] = sum_[j];
  }
  __device__ __forceinline__ void take(const float* memory, const float* rows, int half) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      // The first half changes the shift; for the second one the factors are the same.
      if (half == 0) {
        const float other = rows[lane() % 4 * 4 + j], to = fminf(shift_[j], other);
        keep_[j] = ptx::exp2_approximate(to - shift_[j]), take_[j] = ptx::exp2_approximate(to - other);
        sum_[j] = sum_[j] * keep_[j] + rows[lane() % 4 * 4 + 2 + j] * take_[j];
        shift_[j] = to;
      }
    }
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      float& x = values_[half * 4 + i / 4][i % 4];
      x = x * keep_[i % 2] + memory[i * 32 + lane()] * take_[i % 2];
    }
  }

  // Into a slot; first: number of the first query. After add_up().
  __device__ __forceinline__ void store(const PartialResults& partials, int slot, int first, int global_tokens) const {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int query = first + lane() % 4 * 2 + j;
      if (query >= global_tokens) continue;
      float* to = partials.data + partials.row(slot, query, global_tokens);
#pragma unroll
      for (int step = 0; step < kSteps; ++step)
#pragma unroll
        for (int i = 0; i < 2; ++i) to[step * 16 + i * 8 + lane() / 4] = values_[step][i * 2 + j];
      if (lane() < 4) *reinterpret_cast<float2*>(to + partials.columns) = make_float2(shift_[j], sum_[j]);
    }
  }

 private:
  __device__ __forceinline__ static int lane() { return threadIdx.x % 32; }

  template <int kTiles>
  __device__ __forceinline__ void score(float (&s)[kTiles][4], std::uint32_t keys, int half_bytes, int group_bytes) const {
    const int matrix = lane() / 8;
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
      for (float& x : s[tile]) x = 0.0f;
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      std::uint32_t k[4][kTiles][4];
#pragma unroll
      for (int step = 0; step < 4; ++step)
#pragma unroll
        for (int tile = 0; tile < kTiles; ++tile)
          load_matrices<false>(k[step][tile], swizzled(keys + half * half_bytes + (tile * 2 + matrix % 2) * group_bytes, lane() % 8,
                                                       step * 2 + matrix / 2));
#pragma unroll
      for (int step = 0; step < 4; ++step)
#pragma unroll
        for (int tile = 0; tile < kTiles; ++tile)
          warp_product<Element>(s[tile], k[step][tile], query_[half * 4 + step][0], query_[half * 4 + step][1]);
    }
  }

  // 16 keys by four times 16 columns of values, transposed.
  template <int kTiles>
  __device__ __forceinline__ static void load_values(std::uint32_t (&v)[kTiles][4][4], std::uint32_t values, int group_bytes) {
    const int matrix = lane() / 8;
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        load_matrices<true>(v[tile][i], swizzled(values + (tile * 2 + matrix / 2) * group_bytes, lane() % 8, i * 2 + matrix % 2));
  }

  // The running maximum: a new shift where a score has grown by more than 2^kSlackLog2 over the old one.
  template <int kTiles>
  __device__ __forceinline__ void meet(const float (&s)[kTiles][4], float scale_log2) {
    float maximum[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      maximum[j] = fmaxf(s[0][j], s[0][2 + j]);
#pragma unroll
      for (int tile = 1; tile < kTiles; ++tile) maximum[j] = fmaxf(maximum[j], fmaxf(s[tile][j], s[tile][2 + j]));
    }
    const float above = fmaxf(fmaf(maximum[0], scale_log2, shift_[0]), fmaf(maximum[1], scale_log2, shift_[1]));
    if (!__any_sync(~0u, above > kSlackLog2)) return;
#pragma unroll
    for (int j = 0; j < 2; ++j) {
#pragma unroll
      for (int distance = 4; distance < 32; distance *= 2)
        maximum[j] = fmaxf(maximum[j], __shfl_xor_sync(~0u, maximum[j], distance));
      const float to = fminf(shift_[j], -maximum[j] * scale_log2), alpha = ptx::exp2_approximate(to - shift_[j]);
      shift_[j] = to;
      sum_[j] *= alpha;
#pragma unroll
      for (int step = 0; step < kSteps; ++step) values_[step][j] *= alpha, values_[step][2 + j] *= alpha;
    }
  }

  // Scores to weights, transposed as the operand of their values; their sums are added.
  template <int kTiles>
  __device__ __forceinline__ void weigh(const float (&s)[kTiles][4], float scale_log2, std::uint32_t (&p)[kTiles][2]) {
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
      for (int group = 0; group < 2; ++group) {
        float weight[2];
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          weight[j] = ptx::exp2_approximate(fmaf(s[tile][group * 2 + j], scale_log2, shift_[j]));
          sum_[j] += weight[j];
        }
        p[tile][group] = transposed(Element::pack(weight[0], weight[1]));
      }
  }

  std::uint32_t query_[kSteps][2];
  float shift_[2], sum_[2];
  float values_[kSteps][4];
  float keep_[2], take_[2];                     // between the halves of take()
};

}  // namespace fovea::kernels::sm90
