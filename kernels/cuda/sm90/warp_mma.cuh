// Matrix products of a single warp (PTX ISA, mma.sync.m16n8k16), its operands read from rows of 128 bytes in the 128-byte swizzle.
#pragma once

#include "kernels/cuda/sm90/element.cuh"
#include "kernels/cuda/sm90/forward_arguments.h"

namespace fovea::kernels::sm90 {

// Address of 16 bytes of a row; rows start at a multiple of 1024 bytes.
__device__ __forceinline__ std::uint32_t swizzled(std::uint32_t rows, int row, int chunk) {
  return rows + row * kSwizzleBytes + ((chunk ^ (row & 7)) << 4);
}

// Four 8 x 8 matrices, one address of a row a lane; kTransposed: of columns instead of rows a thread's two elements are neighbours.
template <bool kTransposed>
__device__ __forceinline__ void load_matrices(std::uint32_t (&m)[4], std::uint32_t address) {
  if constexpr (kTransposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3]) : "r"(address) : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3]) : "r"(address) : "memory");
}

// An 8 x 8 matrix, held as load_matrices leaves it, transposed.
__device__ __forceinline__ std::uint32_t transposed(std::uint32_t m) {
  std::uint32_t t;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(t) : "r"(m));
  return t;
}

// d [16 x 8] += a [16 x 16] b [16 x 8].
template <class Element>
__device__ __forceinline__ void warp_product(float* d, const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  if constexpr (Element::kWideRange)
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace fovea::kernels::sm90
