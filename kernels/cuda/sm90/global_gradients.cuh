// Gradients of the global tokens ride along: a tile's weights to them are there anyway; transposed through shared memory, they multiply the
// tile once more, [64 columns x 16 globals], and the sums stay in registers until the CTA leaves the (batch, head).
#pragma once

#include "kernels/cuda/sm90/backward_shared.cuh"
#include "kernels/cuda/sm90/gradient_products.cuh"

namespace fovea::kernels::sm90 {

__device__ __forceinline__ void named_barrier_sync(int barrier, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
__device__ __forceinline__ void named_barrier_arrive(int barrier, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
// Hardware barriers: 0 is __syncthreads, 1... a warpgroup's own, then the turns of GlobalSums.
constexpr int kWarpgroupBarrier = 1, kTurnBarrier = kWarpgroupBarrier + kWarpgroups;

// Weights [64 tokens x 16 globals] in accumulator layout, packed, to 16 rows of 64 tokens in the 128-byte swizzle.
__device__ __forceinline__ void store_transposed(const std::uint32_t (&p)[4], std::uint32_t destination) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
  const int global = lane / 16 * 8 + lane % 8, chunk = warp * 2 + lane / 8 % 2;
  const std::uint32_t at = destination + global * kSwizzleBytes + (chunk ^ (global & 7)) * 16;
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(at), "r"(p[0]), "r"(p[1]), "r"(p[2]),
      "r"(p[3])
               : "memory");
}

// kSums gradients of the globals, each [64 columns x 16 globals].
template <int kSums>
struct GlobalSums {
  float sum[kSums][8];

  __device__ __forceinline__ void reset() {
#pragma unroll
    for (int i = 0; i < kSums; ++i)
#pragma unroll
      for (float& x : sum[i]) x = 0.0f;
  }

  // The warpgroups add to the slot in turn, always in the same order. turn: how often before; first: of kSums gradients in the slot's rows.
  __device__ __forceinline__ void store(const GlobalGradients& partials, int slot, int first, int global_tokens, int warpgroup, int turn) {
    constexpr int kThreads = 256;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
    if (warpgroup > 0) named_barrier_sync(kTurnBarrier + (warpgroup - 1) * 2 + turn % 2, kThreads);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int column = warp * 16 + i / 2 % 2 * 8 + lane / 4, token = i / 4 * 8 + lane % 4 * 2 + i % 2;
      if (token >= global_tokens) continue;
      float* to = partials.row(slot, token, global_tokens) + column;
#pragma unroll
      for (int j = 0; j < kSums; ++j) {
        float& x = to[(first + j) * kHalfColumns];
        x = warpgroup > 0 ? x + sum[j][i] : sum[j][i];
      }
    }
    __threadfence_block();
    if (warpgroup + 1 < kWarpgroups) named_barrier_arrive(kTurnBarrier + warpgroup * 2 + turn % 2, kThreads);
  }
};

}  // namespace fovea::kernels::sm90
