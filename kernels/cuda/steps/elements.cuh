// Elements between memory and float32, several at a time.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "kernels/cuda/dispatch.h"
#include "kernels/token_steps.h"

namespace fovea::kernels::steps {

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline float widen(__half x) { return __half2float(x); }

template <class Element>
__device__ inline Element narrow(float x) {
  if constexpr (sizeof(Element) == 4) return x;
  else if constexpr (std::is_same_v<Element, __half>) return __float2half_rn(x);
  else return __float2bfloat16_rn(x);
}

// kCount neighbours, moved as one access.
template <class Element, int kCount>
struct alignas(sizeof(Element) * kCount) Pack {
  Element element[kCount];

  __device__ static Pack load(const Element* from) { return *reinterpret_cast<const Pack*>(from); }
  __device__ void store(Element* to) const { *reinterpret_cast<Pack*>(to) = *this; }
  __device__ float operator[](int i) const { return widen(element[i]); }
  __device__ void set(int i, float value) { element[i] = narrow<Element>(value); }
};

__device__ inline float sum_of_warp(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
  return x;
}

__device__ inline float maximum_of_warp(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
  return x;
}

}  // namespace fovea::kernels::steps
