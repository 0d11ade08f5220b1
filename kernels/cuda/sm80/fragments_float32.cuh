// The same product for float32: each factor is split into two TF32 numbers, x = high + low, and high*high + high*low + low*high is
// accumulated (mma.sync.m16n8k8). The dropped term is below 2^-22 of the product, so the error is that of float32 arithmetic.
// A 16-wide contraction is two steps of 8. Where the contraction runs over tokens, step t covers block t with its tokens in the order
// 0 2 4 6 1 3 5 7, on both sides: then an accumulator is operand A without any exchange between lanes.
#pragma once

#include "kernels/cuda/sm80/fragments.cuh"

namespace fovea::kernels::sm80 {

template <> struct FragmentA<float> { float v[8]; };
template <> struct FragmentB<float> { float v[4]; };

__device__ inline std::uint32_t tf32_high(float x) { return (__float_as_uint(x) + 0x1000u) & 0xffffe000u; }

__device__ inline void multiply_add_tf32(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline void multiply_add(float (&d)[4], const FragmentA<float>& a, const FragmentB<float>& b) {
#pragma unroll
  for (int step = 0; step < 2; ++step) {
    std::uint32_t a_high[4], a_low[4], b_high[2], b_low[2];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      a_high[i] = tf32_high(a.v[4 * step + i]);
      a_low[i] = tf32_high(a.v[4 * step + i] - __uint_as_float(a_high[i]));
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      b_high[i] = tf32_high(b.v[2 * step + i]);
      b_low[i] = tf32_high(b.v[2 * step + i] - __uint_as_float(b_high[i]));
    }
    multiply_add_tf32(d, a_low, b_high[0], b_high[1]);
    multiply_add_tf32(d, a_high, b_low[0], b_low[1]);
    multiply_add_tf32(d, a_high, b_high[0], b_high[1]);
  }
}

template <>
__device__ inline FragmentA<float> operand_a<float>(const float (&left)[4], const float (&right)[4]) {
  return {{left[0], left[2], left[1], left[3], right[0], right[2], right[1], right[3]}};
}

template <>
__device__ inline FragmentA<float> load_a<float>(const float* upper, const float* lower, int k, std::uint32_t sign) {
  const int c = threadIdx.x % 4;
  FragmentA<float> a;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const float* row = i & 1 ? lower : upper;
    a.v[i] = row ? __uint_as_float(__float_as_uint(__ldg(row + 16 * k + 4 * (i >> 1) + c)) ^ (sign & 0x80000000u)) : 0.f;
  }
  return a;
}

template <>
__device__ inline void store_pair<float>(float* row, int column, float first, float second) {
  *reinterpret_cast<float2*>(row + column) = {first, second};
}

__device__ inline float dot_16_bytes(const uint4& a, const uint4& b, float) {
  const std::uint32_t x[4] = {a.x, a.y, a.z, a.w}, y[4] = {b.x, b.y, b.z, b.w};
  float sum = 0.f;
#pragma unroll
  for (int i = 0; i < 4; ++i) sum = fmaf(__uint_as_float(x[i]), __uint_as_float(y[i]), sum);
  return sum;
}

template <int kDim>
class RowsOperand<float, kDim> {
 public:
  __device__ RowsOperand(std::uint32_t block, int distance) {
    const int lane = threadIdx.x % 32;
    address_[0] = block + SharedRows<float, kDim>::offset(lane % 8, lane / 8);
    address_[1] = address_[0] + distance;
  }
  __device__ void load(int k, FragmentB<float> (&b)[2]) const {
#pragma unroll
    for (int i = 0; i < 2; ++i)                  // ldmatrix moves 4-byte words too: lane l gets word l % 4 of row l / 4 of each matrix
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=f"(b[i].v[0]), "=f"(b[i].v[1]), "=f"(b[i].v[2]), "=f"(b[i].v[3]) : "r"(address_[i] ^ (k << 6)) : "memory");
  }

 private:
  std::uint32_t address_[2];
};

template <int kDim>
class ColumnsOperand<float, kDim> {
 public:
  __device__ ColumnsOperand(std::uint32_t block, int distance) {
    const int lane = threadIdx.x % 32, group = lane / 4, c = lane % 4;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      address_[i] = block + SharedRows<float, kDim>::offset(2 * c + i % 2, group / 4) + group % 4 * 4 + (i < 2 ? 0 : distance);
    }
  }
  __device__ void load(int n, FragmentB<float> (&b)[2]) const {
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j)
        asm volatile("ld.shared.f32 %0, [%1];" : "=f"(b[i].v[j]) : "r"(address_[j] ^ ((2 * n + i) << 5)) : "memory");
  }

 private:
  std::uint32_t address_[4];
};

}  // namespace fovea::kernels::sm80
