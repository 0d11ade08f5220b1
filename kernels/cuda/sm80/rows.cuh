// Rows of the warp's own tokens: as operand of products, and as results.
#pragma once

#include "kernels/cuda/sm80/fragments_float32.cuh"
#include "kernels/cuda/sm80/window.h"

namespace fovea::kernels::sm80 {

// Rows of a tile's tokens in global memory, as operand A: 16 tokens of each subtile. 16-bit types stay in registers; float32 (twice the
// registers) is read again from the L1 cache whenever it is used.
template <class Element, int kDim, int kSubtiles>
class Stationary {
  static constexpr bool kResident = sizeof(Element) == 2;

 public:
  __device__ Stationary(const Plane<Element>& plane, const Work& work, const Tile& tile, std::uint32_t sign) : sign_(sign) {
#pragma unroll
    for (int i = 0; i < 2 * kSubtiles; ++i) {
      const int token = tile.token(work, i, int(threadIdx.x) % 32);
      row_[i] = token < 0 ? nullptr : plane.row(token);
    }
    if constexpr (kResident) {
#pragma unroll
      for (int m = 0; m < kSubtiles; ++m)
#pragma unroll
        for (int k = 0; k < kDim / 16; ++k) fragment_[m][k] = load_a(row_[2 * m], row_[2 * m + 1], k, sign);
    }
  }
  __device__ FragmentA<Element> operand(int m, int k) const {
    if constexpr (kResident) return fragment_[m][k];
    else return load_a(row_[2 * m], row_[2 * m + 1], k, sign_);
  }

 private:
  const Element* row_[2 * kSubtiles];
  std::uint32_t sign_;
  FragmentA<Element> fragment_[kSubtiles][kResident ? kDim / 16 : 1];
};

template <int kSubtiles, int kColumns>
__device__ void clear(float (&sum)[kSubtiles][kColumns][4]) {
#pragma unroll
  for (int m = 0; m < kSubtiles; ++m)
#pragma unroll
    for (int n = 0; n < kColumns; ++n) sum[m][n][0] = sum[m][n][1] = sum[m][n][2] = sum[m][n][3] = 0.f;
}

// Writes scale * sum of this lane's token in `half` to its row, from column `offset` on.
template <class Element, int kColumns>
__device__ void store_row(Element* row, int offset, const float (&sum)[kColumns][4], int half, float scale) {
#pragma unroll
  for (int n = 0; n < kColumns; ++n)
    store_pair(row, offset + 8 * n + 2 * int(threadIdx.x % 4), sum[n][2 * half] * scale, sum[n][2 * half + 1] * scale);
}

// Adds the row that store_row(row, offset, sum, half, 1) wrote, times `scale`.
template <int kColumns>
__device__ void add_row(float (&sum)[kColumns][4], const float* row, int offset, int half, float scale) {
#pragma unroll
  for (int n = 0; n < kColumns; ++n) {
    const float2 pair = *reinterpret_cast<const float2*>(row + offset + 8 * n + 2 * int(threadIdx.x % 4));
    sum[n][2 * half] = fmaf(scale, pair.x, sum[n][2 * half]);
    sum[n][2 * half + 1] = fmaf(scale, pair.y, sum[n][2 * half + 1]);
  }
}

// Over the four lanes that share a row.
__device__ inline float row_maximum(float x) {
  x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
  return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}
__device__ inline float row_sum(float x) {
  x += __shfl_xor_sync(~0u, x, 1);
  return x + __shfl_xor_sync(~0u, x, 2);
}

}  // namespace fovea::kernels::sm80
