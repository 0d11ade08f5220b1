// A tile of queries as the A operand of Q K^T.
#pragma once

#include "kernels/cuda/sm90/wgmma.cuh"

namespace fovea::kernels::sm90 {

// Two halves of columns: from shared memory, for want of registers. Its buffer is in use until the tile's last scores.
template <class Element, int kHalves>
struct QueryOperand {
  static constexpr bool kInRegisters = false;
  std::uint32_t base;
  __device__ __forceinline__ void load(std::uint32_t address) { base = descriptor(address); }
  template <std::uint32_t kKeyHigh, int kCount>
  __device__ __forceinline__ void score(float (&s)[kCount], std::uint32_t keys, std::uint32_t half_distance) const {
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      const std::uint32_t a = base + half * descriptor_distance(kQueryRows * kSwizzleBytes), b = keys + half * half_distance;
      if (half == 0) scores_product<Element, kKeyHigh, 0>(s, a, b); else scores_product<Element, kKeyHigh, 1>(s, a, b);
#pragma unroll
      for (int k = 1; k < 4; ++k) scores_product<Element, kKeyHigh, 1>(s, a + 2 * k, b + 2 * k);
    }
  }
};

// One half: in registers, so that shared memory serves only the keys; the buffer is free at once.
template <class Element>
struct QueryOperand<Element, 1> {
  static constexpr bool kInRegisters = true;
  std::uint32_t fragments[4][4];
  __device__ __forceinline__ void load(std::uint32_t address) {
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 % 4 * 16 + lane % 16;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const std::uint32_t a = address + row * kSwizzleBytes + ((k * 2 + lane / 16) ^ (row & 7)) * 16;
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(fragments[k][0]), "=r"(fragments[k][1]), "=r"(fragments[k][2]), "=r"(fragments[k][3]) : "r"(a) : "memory");
    }
  }
  template <std::uint32_t kKeyHigh, int kCount>
  __device__ __forceinline__ void score(float (&s)[kCount], std::uint32_t keys, std::uint32_t) const {
    scores_product<Element, kKeyHigh, 0>(s, fragments[0], keys);
#pragma unroll
    for (int k = 1; k < 4; ++k) scores_product<Element, kKeyHigh, 1>(s, fragments[k], keys + 2 * k);
  }
};

}  // namespace fovea::kernels::sm90
