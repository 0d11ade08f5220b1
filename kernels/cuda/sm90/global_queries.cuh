// The global tokens as queries: 64 rows (those past the last are zeros), one warpgroup, a running softmax over whatever keys come by.
#pragma once

#include "kernels/cuda/sm90/copies.cuh"
#include "kernels/cuda/sm90/shared_memory.cuh"
#include "kernels/cuda/sm90/softmax.cuh"
#include "kernels/cuda/sm90/weights.cuh"
#include "kernels/cuda/sm90/wgmma.cuh"

namespace fovea::kernels::sm90 {

template <class Element, int kHeadDim>
class GlobalAccumulator {
 public:
  static constexpr int kHalves = kHeadDim / kHalfColumns;

  // Distances in descriptor units from one half of the columns to the other.
  struct Keys {
    std::uint32_t keys, values, half_distance;
  };

  __device__ __forceinline__ void reset() {
    softmax_.reset();
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
#pragma unroll
      for (float& x : output_[half]) x = 0.0f;
  }

  // Attends to 8 * kBlocks keys; key_mask bit 2 * block + j as in RowSoftmax. kKeyHigh: how groups of 8 keys lie. A warp without queries
  // takes part in the products with weights of zero.
  template <int kBlocks, std::uint32_t kKeyHigh>
  __device__ __forceinline__ void attend(std::uint32_t query, Keys at, std::uint32_t key_mask, float scale_log2, bool has_queries) {
    float s[kBlocks * 4], alpha[2];
    std::uint32_t p[kBlocks / 2][4];
    products_begin();
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      const std::uint32_t a = query + half * descriptor_distance(kQueryRows * kSwizzleBytes), b = at.keys + half * at.half_distance;
      if (half == 0) scores_product<Element, kKeyHigh, 0>(s, a, b); else scores_product<Element, kKeyHigh, 1>(s, a, b);
#pragma unroll
      for (int k = 1; k < 4; ++k) scores_product<Element, kKeyHigh, 1>(s, a + 2 * k, b + 2 * k);
    }
    products_commit();
    products_wait<0>();
    products_settle(s);
    if (has_queries) {
      float bias[2][2 * kBlocks];
      if (softmax_.template meet<1, kBlocks>(s, key_mask, scale_log2, alpha)) rescale(output_, alpha);
      softmax_.template bias<kBlocks>(key_mask, bias);
      softmax_.template weigh<1, kBlocks>(s, bias, scale_log2);
      pack_weights<Element, kBlocks / 2>(s, p);
    } else {
      no_weights(p);
    }
    constexpr std::uint32_t kStep = 2 * (kKeyHigh & 0x3fff);   // 16 keys: two groups of 8
    products_begin();
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
#pragma unroll
      for (int k = 0; k < kBlocks / 2; ++k)
        values_product<Element, kKeyHigh>(output_[half], p[k], at.values + half * at.half_distance + k * kStep, 1);
    products_commit();
    products_wait<0>();
#pragma unroll
    for (int half = 0; half < kHalves; ++half) products_settle(output_[half]);
  }

  // This (batch, head)'s partial result into a slot; one thread of the warpgroup also enters the slot into the directory.
  __device__ __forceinline__ void store(const PartialResults& partials, int slot, int plane, int global_tokens) const {
    const int thread = threadIdx.x % 128, lane = thread % 32;
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      const int query = thread / 32 * 16 + row * 8 + lane / 4;
      const float sum = softmax_.total(row);
      if (query >= global_tokens) continue;
      float* destination = partials.data + partials.row(slot, query, global_tokens);
#pragma unroll
      for (int half = 0; half < kHalves; ++half)
#pragma unroll
        for (int j = 0; j < 8; ++j)
          *reinterpret_cast<float2*>(destination + half * kHalfColumns + j * 8 + lane % 4 * 2) =
              make_float2(output_[half][j * 4 + row * 2], output_[half][j * 4 + row * 2 + 1]);
      if (lane % 4 == 0) *reinterpret_cast<float2*>(destination + partials.columns) = make_float2(softmax_.shift[row], sum);
    }
    if (thread == 0) partials.directory[slot] = plane;
  }

 private:
  RowSoftmax softmax_;
  float output_[kHalves][32];
};

// Mask of the keys below `count` of 8 * kBlocks keys.
template <int kBlocks>
__device__ __forceinline__ std::uint32_t leading_keys(int count, int lane) {
  std::uint32_t mask = 0;
#pragma unroll
  for (int i = 0; i < 2 * kBlocks; ++i)
    if (i / 2 * 8 + lane % 4 * 2 + (i & 1) < count) mask |= 1u << i;
  return mask;
}

}  // namespace fovea::kernels::sm90
