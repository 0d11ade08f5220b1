// The ways in which the CPU kernels can multiply bfloat16, each as far as this machine has it.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <optional>

#include "kernels/cpu/bfloat16/products.h"

namespace fovea::test {

inline const char* name_of(kernels::cpu::bfloat16::Products products) {
  using kernels::cpu::bfloat16::Products;
  return products == Products::kWidened ? "widened to float32" : products == Products::kDots ? "AVX512-BF16" : "AMX";
}

// Calls body() once for each way, which is forced meanwhile; says which the machine does not have.
template <class Body>
void for_each_bfloat16_way(const Body& body) {
  using kernels::cpu::bfloat16::Products;
  for (const Products products : {Products::kWidened, Products::kDots, Products::kTiles}) {
    if (!kernels::cpu::bfloat16::available(products)) {
      std::printf("NOT TESTED: bfloat16 by %s, which this machine does not have\n", name_of(products));
      continue;
    }
    SCOPED_TRACE(name_of(products));
    kernels::cpu::bfloat16::force_products(products);
    body();
  }
  kernels::cpu::bfloat16::force_products(std::nullopt);
}

}  // namespace fovea::test
