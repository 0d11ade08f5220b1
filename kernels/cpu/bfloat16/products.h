// Products of bfloat16 matrices: which of the CPU's ways to compute them are used.
//
// A zmm FMA of float32 does 16 multiply-adds, VDPBF16PS 32, TDPBF16PS (AMX) 8192. Measured on Sapphire Rapids: two FMAs a cycle, one
// VDPBF16PS in two cycles, one TDPBF16PS in 16: 32, 16 and 512 multiply-adds a cycle. AMD's Zen 4 and 5 run VDPBF16PS as fast as FMA.
#pragma once

#include <cstdint>
#include <optional>

// Whether the compiler can build these kernels at all.
#if defined(__x86_64__) && defined(__linux__) && ((defined(__clang__) && __clang_major__ >= 12) || (!defined(__clang__) && __GNUC__ >= 11))
#define FOVEA_BFLOAT16_PRODUCTS 1
#else
#define FOVEA_BFLOAT16_PRODUCTS 0
#endif

namespace fovea::kernels::cpu::bfloat16 {

enum class Products : std::uint8_t {
  kWidened,   // none: numbers are widened to float32, and the kernels of kernels/cpu/simd run
  kDots,      // VDPBF16PS (AVX512-BF16)
  kTiles,     // TDPBF16PS (AMX)
};

// Whether this machine and its operating system can run them.
bool available(Products products);

// The fastest, or what was forced; decided once, so that results do not change within a process.
Products chosen_products();
// For tests and benchmarks. Not while kernels run.
void force_products(std::optional<Products> products);

}  // namespace fovea::kernels::cpu::bfloat16
