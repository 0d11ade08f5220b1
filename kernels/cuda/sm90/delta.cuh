// delta = rowsum(grad_output * output) - grad_lse of queries: of all, or of the global ones where a gradient kernel makes the grid's on its
// way. Bound by memory.
#pragma once

#include "kernels/cuda/sm90/backward_sums.h"
#include "kernels/cuda/sm90/element.cuh"

namespace fovea::kernels::sm90 {

template <class Element>
__device__ __forceinline__ float dot_16_bytes(uint4 a, uint4 b) {
  const auto* x = reinterpret_cast<const typename Element::Type*>(&a);
  const auto* y = reinterpret_cast<const typename Element::Type*>(&b);
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < 8; ++i) sum = fmaf(float(x[i]), float(y[i]), sum);
  return sum;
}

// Row of memory to (batch, token, head). 32-bit divisions: 64-bit ones took as long as the loads, and no device holds 2^32 rows.
struct DeltaRow {
  std::int64_t batch;
  unsigned token, head;
  __device__ __forceinline__ DeltaRow(std::int64_t row, const DeltaArguments& a) {
    const unsigned asked = static_cast<unsigned>(a.tokens_asked);
    const unsigned position = static_cast<unsigned>(row) / a.heads, b = position / asked;
    head = static_cast<unsigned>(row) - position * a.heads;
    token = position - b * asked;
    batch = b;
  }
};

// head_dim / 8 lanes a row, 16 bytes each; rows in the order of memory, (batch, token, head); a thread has kDeltaRows of them, far apart.
template <class Element>
__global__ __launch_bounds__(kDeltaThreads) void delta_kernel(const __grid_constant__ DeltaArguments a) {
  const int sharers = a.head_dim / 8, part = threadIdx.x % sharers, rows_per_step = kDeltaThreads / sharers;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * rows_per_step * kDeltaRows + threadIdx.x / sharers;
  uint4 output[kDeltaRows], grad[kDeltaRows];
#pragma unroll
  for (int i = 0; i < kDeltaRows; ++i) {
    const std::int64_t row = first + i * rows_per_step;
    if (row >= a.rows) continue;
    const DeltaRow at(row, a);
    const auto load = [&](const ConstView& v) {
      const auto* data = static_cast<const typename Element::Type*>(v.data) + at.batch * v.batch_stride + at.token * v.token_stride +
                         at.head * v.head_stride + part * 8;
      return __ldg(reinterpret_cast<const uint4*>(data));
    };
    output[i] = load(a.output);
    grad[i] = load(a.grad_output);
  }
#pragma unroll
  for (int i = 0; i < kDeltaRows; ++i) {
    const std::int64_t row = first + i * rows_per_step;
    float sum = row < a.rows ? dot_16_bytes<Element>(output[i], grad[i]) : 0.0f;
    for (int step = 1; step < sharers; step *= 2) sum += __shfl_xor_sync(~0u, sum, step);
    if (row >= a.rows || part != 0) continue;
    const DeltaRow place(row, a);
    const std::int64_t at = (place.batch * a.heads + place.head) * a.tokens + place.token;
    a.delta[at] = sum - (a.grad_lse ? a.grad_lse[at] : 0.0f);
  }
}

}  // namespace fovea::kernels::sm90
