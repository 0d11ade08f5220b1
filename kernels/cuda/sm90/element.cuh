// The element types the tensor cores take, and how two float32 become two of them.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace fovea::kernels::sm90 {

struct BFloat16 {
  using Type = __nv_bfloat16;
  static constexpr bool kWideRange = true;      // float32's range: weights may be far from 1
  __device__ static __forceinline__ std::uint32_t pack(float low, float high) {
    std::uint32_t r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
  }
};

struct Float16 {
  using Type = __half;
  static constexpr bool kWideRange = false;     // at most 65504
  __device__ static __forceinline__ std::uint32_t pack(float low, float high) {
    std::uint32_t r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
  }
};

}  // namespace fovea::kernels::sm90
