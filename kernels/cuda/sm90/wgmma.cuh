// The warpgroup matrix products this operator needs (PTX ISA, wgmma.mma_async), M = 64, K = 16, float32 accumulators.
//
// A shared-memory operand is named by a 64-bit descriptor. Its low word is the address / 16 (and 1 << 16, a leading offset that the
// 128-byte swizzle ignores); its high word is a constant: bits 30-31 = 1 for that swizzle, bits 0-13 = the distance / 16 of groups of
// 8 rows. Keeping only the low word in a register halves the instructions of the inner loop. Stepping 16 columns along the contraction
// of a K-major operand adds 32 bytes, stepping 16 keys of V (MN-major) adds 16 rows.
#pragma once

#include "kernels/cuda/sm90/element.cuh"
#include "kernels/cuda/sm90/forward_arguments.h"

namespace fovea::kernels::sm90 {

__device__ __forceinline__ std::uint32_t descriptor(std::uint32_t shared_address) { return shared_address >> 4 | 0x10000u; }
__device__ __forceinline__ std::uint32_t described(std::uint32_t descriptor) { return (descriptor & 0xffffu) << 4; }
FOVEA_HOST_DEVICE constexpr std::uint32_t descriptor_distance(int bytes) { return static_cast<std::uint32_t>(bytes) >> 4; }
FOVEA_HOST_DEVICE constexpr std::uint32_t descriptor_high(int group_stride_bytes) {
  return 0x40000000u | static_cast<std::uint32_t>(group_stride_bytes) >> 4;
}
constexpr std::uint32_t kDenseRows = descriptor_high(8 * kSwizzleBytes);

__device__ __forceinline__ void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kLeft>
__device__ __forceinline__ void products_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory"); }
// Keeps the compiler from reading accumulators above the wait that completes them.
template <int kCount>
__device__ __forceinline__ void products_settle(float (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

#define FOVEA_D4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define FOVEA_D8(d, i) FOVEA_D4(d, i), FOVEA_D4(d, i + 4)
#define FOVEA_L8 "%0, %1, %2, %3, %4, %5, %6, %7"
#define FOVEA_L24 FOVEA_L8 ", %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23"
#define FOVEA_L32 FOVEA_L24 ", %24, %25, %26, %27, %28, %29, %30, %31"
#define FOVEA_L48 FOVEA_L32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"

// d [64 x 16] (+)= A B^T, both from shared memory, K-major. B's groups of 8 keys lie as kKeyHigh says.
#define FOVEA_SCORES_16(TYPE)                                                                                              \
  asm volatile("{\n.reg .pred p;\n.reg .b64 a, b;\nmov.b64 a, {%8, %10};\nmov.b64 b, {%9, %11};\nsetp.ne.b32 p, %12, 0;\n" \
               "wgmma.mma_async.sync.aligned.m64n16k16.f32." TYPE "." TYPE " {" FOVEA_L8 "}, a, b, p, 1, 1, 0, 0;\n}\n"    \
               : FOVEA_D8(d, 0)                                                                                            \
               : "r"(a), "r"(b), "n"(kDenseRows), "n"(kKeyHigh), "n"(kAccumulate))
template <class Element, std::uint32_t kKeyHigh, int kAccumulate>
__device__ __forceinline__ void scores_product(float (&d)[8], std::uint32_t a, std::uint32_t b) {
  if constexpr (Element::kWideRange) FOVEA_SCORES_16("bf16"); else FOVEA_SCORES_16("f16");
}
#undef FOVEA_SCORES_16

// d [64 x 48] likewise.
#define FOVEA_SCORES_48(TYPE)                                                                                                  \
  asm volatile("{\n.reg .pred p;\n.reg .b64 a, b;\nmov.b64 a, {%24, %26};\nmov.b64 b, {%25, %27};\nsetp.ne.b32 p, %28, 0;\n"   \
               "wgmma.mma_async.sync.aligned.m64n48k16.f32." TYPE "." TYPE " {" FOVEA_L24 "}, a, b, p, 1, 1, 0, 0;\n}\n"       \
               : FOVEA_D8(d, 0), FOVEA_D8(d, 8), FOVEA_D8(d, 16)                                                               \
               : "r"(a), "r"(b), "n"(kDenseRows), "n"(kKeyHigh), "n"(kAccumulate))
template <class Element, std::uint32_t kKeyHigh, int kAccumulate>
__device__ __forceinline__ void scores_product(float (&d)[24], std::uint32_t a, std::uint32_t b) {
  if constexpr (Element::kWideRange) FOVEA_SCORES_48("bf16"); else FOVEA_SCORES_48("f16");
}
#undef FOVEA_SCORES_48

// d [64 x 96] likewise.
#define FOVEA_SCORES_96(TYPE)                                                                                                  \
  asm volatile("{\n.reg .pred p;\n.reg .b64 a, b;\nmov.b64 a, {%48, %50};\nmov.b64 b, {%49, %51};\nsetp.ne.b32 p, %52, 0;\n"  \
               "wgmma.mma_async.sync.aligned.m64n96k16.f32." TYPE "." TYPE " {" FOVEA_L48 "}, a, b, p, 1, 1, 0, 0;\n}\n"       \
               : FOVEA_D8(d, 0), FOVEA_D8(d, 8), FOVEA_D8(d, 16), FOVEA_D8(d, 24), FOVEA_D8(d, 32), FOVEA_D8(d, 40)            \
               : "r"(a), "r"(b), "n"(kDenseRows), "n"(kKeyHigh), "n"(kAccumulate))
template <class Element, std::uint32_t kKeyHigh, int kAccumulate>
__device__ __forceinline__ void scores_product(float (&d)[48], std::uint32_t a, std::uint32_t b) {
  if constexpr (Element::kWideRange) FOVEA_SCORES_96("bf16"); else FOVEA_SCORES_96("f16");
}
#undef FOVEA_SCORES_96

// d [64 x 64] (+)= P V for 16 keys: P from registers, V MN-major. accumulate: 0 overwrites d.
#define FOVEA_VALUES(TYPE)                                                                                               \
  asm volatile("{\n.reg .pred p;\n.reg .b64 b;\nmov.b64 b, {%36, %37};\nsetp.ne.b32 p, %38, 0;\n"                        \
               "wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE " {" FOVEA_L32 "}, {%32, %33, %34, %35}, b, " \
               "p, 1, 1, 1;\n}\n"                                                                                        \
               : FOVEA_D8(d, 0), FOVEA_D8(d, 8), FOVEA_D8(d, 16), FOVEA_D8(d, 24)                                        \
               : "r"(p[0]), "r"(p[1]), "r"(p[2]), "r"(p[3]), "r"(v), "n"(kValueHigh), "r"(accumulate))
template <class Element, std::uint32_t kValueHigh>
__device__ __forceinline__ void values_product(float (&d)[32], const std::uint32_t (&p)[4], std::uint32_t v, int accumulate) {
  if constexpr (Element::kWideRange) FOVEA_VALUES("bf16"); else FOVEA_VALUES("f16");
}
#undef FOVEA_VALUES
#undef FOVEA_D4
#undef FOVEA_D8
#undef FOVEA_L8
#undef FOVEA_L24
#undef FOVEA_L32
#undef FOVEA_L48

}  // namespace fovea::kernels::sm90
