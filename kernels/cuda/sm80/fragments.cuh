// Operands of the 16 x 8 x 16 matrix product for bfloat16 and float16 (mma.sync.m16n8k16), accumulated in float32.
//
// Lane l of a warp: group g = l / 4, c = l % 4. Accumulator: elements (g, 2c), (g, 2c + 1), (g + 8, 2c), (g + 8, 2c + 1).
// Every element type offers the same names, so that the passes are written once; float32 is in fragments_float32.cuh.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/cuda/sm80/async_copy.cuh"

namespace fovea::kernels::sm80 {

template <class Element> struct FragmentA { std::uint32_t r[4]; };     // 16 x 16, contraction along the second index
template <class Element> struct FragmentB { std::uint32_t r[2]; };     // 16 x 8, contraction along the first

// d += a b
__device__ inline void multiply_add(float (&d)[4], const FragmentA<__nv_bfloat16>& a, const FragmentB<__nv_bfloat16>& b) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]));
}
__device__ inline void multiply_add(float (&d)[4], const FragmentA<__half>& a, const FragmentB<__half>& b) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]));
}

__device__ inline void pack(std::uint32_t& packed, float low, float high, __nv_bfloat16) {
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
}
__device__ inline void pack(std::uint32_t& packed, float low, float high, __half) {
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
}

// Two accumulators side by side (16 x 16) become operand A, rounded to the element type.
template <class Element>
__device__ FragmentA<Element> operand_a(const float (&left)[4], const float (&right)[4]) {
  FragmentA<Element> a;
  pack(a.r[0], left[0], left[1], Element{});
  pack(a.r[1], left[2], left[3], Element{});
  pack(a.r[2], right[0], right[1], Element{});
  pack(a.r[3], right[2], right[3], Element{});
  return a;
}

// Elements 16 k .. 16 k + 15 of two token rows (this lane's, of both halves); nullptr: zeros. `sign`: 0 or 0x80008000, flips all signs.
template <class Element>
__device__ FragmentA<Element> load_a(const Element* upper, const Element* lower, int k, std::uint32_t sign) {
  const int c = threadIdx.x % 4;
  FragmentA<Element> a;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const Element* row = i & 1 ? lower : upper;
    a.r[i] = row ? __ldg(reinterpret_cast<const unsigned*>(row) + 8 * k + 4 * (i >> 1) + c) ^ sign : 0u;
  }
  return a;
}

template <class Element>
__device__ void store_pair(Element* row, int column, float first, float second) {
  std::uint32_t packed;
  pack(packed, first, second, Element{});
  *reinterpret_cast<std::uint32_t*>(row + column) = packed;
}

__device__ inline float2 widen(std::uint32_t packed, __nv_bfloat16) {
  return {__uint_as_float(packed << 16), __uint_as_float(packed & 0xffff0000u)};
}
__device__ inline float2 widen(std::uint32_t packed, __half) { return __half22float2(*reinterpret_cast<const __half2*>(&packed)); }

// Sum of products of 16 bytes of elements.
template <class Element>
__device__ float dot_16_bytes(const uint4& a, const uint4& b, Element type) {
  const std::uint32_t x[4] = {a.x, a.y, a.z, a.w}, y[4] = {b.x, b.y, b.z, b.w};
  float sum = 0.f;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 u = widen(x[i], type), v = widen(y[i], type);
    sum = fmaf(u.x, v.x, fmaf(u.y, v.y, sum));
  }
  return sum;
}

// The 16 tokens of two blocks in shared memory, `distance` bytes apart, read with their elements as contraction (for scores): two
// 8-token operands B.
template <class Element, int kDim>
class RowsOperand {
 public:
  __device__ RowsOperand(std::uint32_t block, int distance) {
    const int lane = threadIdx.x % 32;
    address_ = block + SharedRows<Element, kDim>::offset(lane % 8, lane / 8 % 2) + (lane & 16 ? distance : 0);
  }
  __device__ void load(int k, FragmentB<Element> (&b)[2]) const {        // elements 16 k .. 16 k + 15
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(b[0].r[0]), "=r"(b[0].r[1]), "=r"(b[1].r[0]), "=r"(b[1].r[1]) : "r"(address_ ^ (k << 5)) : "memory");
  }

 private:
  std::uint32_t address_;
};

// The same 16 tokens as contraction (for weighted sums): operands B for 16 elements.
template <class Element, int kDim>
class ColumnsOperand {
 public:
  __device__ ColumnsOperand(std::uint32_t block, int distance) {
    const int lane = threadIdx.x % 32;
    address_ = block + SharedRows<Element, kDim>::offset(lane % 8, lane / 16) + (lane & 8 ? distance : 0);
  }
  __device__ void load(int n, FragmentB<Element> (&b)[2]) const {        // elements 16 n .. 16 n + 15
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(b[0].r[0]), "=r"(b[0].r[1]), "=r"(b[1].r[0]), "=r"(b[1].r[1]) : "r"(address_ ^ (n << 5)) : "memory");
  }

 private:
  std::uint32_t address_;
};

}  // namespace fovea::kernels::sm80
