#include "kernels/cpu/bfloat16/products.h"

#include <atomic>

#if FOVEA_BFLOAT16_PRODUCTS
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace fovea::kernels::cpu::bfloat16 {
namespace {

#if FOVEA_BFLOAT16_PRODUCTS

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf = 0) {
  Registers registers;
  __get_cpuid_count(leaf, subleaf, &registers.eax, &registers.ebx, &registers.ecx, &registers.edx);
  return registers;
}

bool has_dots() {
  constexpr unsigned kAvx512Bf16 = 1u << 5;
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && (cpuid(7, 1).eax & kAvx512Bf16) != 0;
}

bool is_amd() {
  const Registers vendor = cpuid(0);
  return vendor.ebx == signature_AMD_ebx && vendor.edx == signature_AMD_edx && vendor.ecx == signature_AMD_ecx;
}

// Linux saves AMX's 8 kB of registers only for processes that have asked for it.
bool has_tiles() {
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;   // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  const unsigned features = cpuid(7).edx;
  return has_dots() && (features & kAmxBf16) && (features & kAmxTile) && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// Intel's VDPBF16PS does half the multiply-adds of two FMAs a cycle; it pays on AMD alone.
Products fastest() {
  if (available(Products::kTiles)) return Products::kTiles;
  return available(Products::kDots) && is_amd() ? Products::kDots : Products::kWidened;
}

#else

bool has_dots() { return false; }
bool has_tiles() { return false; }
Products fastest() { return Products::kWidened; }

#endif

std::atomic<Products>& choice() {
  static std::atomic<Products> chosen = fastest();
  return chosen;
}

}  // namespace

bool available(Products products) {
  static const bool dots = has_dots(), tiles = has_tiles();
  switch (products) {
    case Products::kWidened: return true;
    case Products::kDots: return dots;
    case Products::kTiles: return tiles;
  }
  return false;
}

Products chosen_products() { return choice(); }

void force_products(std::optional<Products> products) { choice() = products.value_or(fastest()); }

}  // namespace fovea::kernels::cpu::bfloat16
