// From what is known at run time to template arguments. Host only.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "kernels/attention_params.h"

namespace fovea::kernels {

// Returns body(Element{}).
template <class Body>
auto for_element(DataType dtype, Body body) {
  if (dtype == DataType::kBFloat16) return body(__nv_bfloat16{});
  if (dtype == DataType::kFloat16) return body(__half{});
  return body(float{});
}

// Returns body(integral_constant<int, head_dim>{}).
template <class Body>
auto for_dim(int head_dim, Body body) {
  if (head_dim == 32) return body(std::integral_constant<int, 32>{});
  if (head_dim == 64) return body(std::integral_constant<int, 64>{});
  return body(std::integral_constant<int, 128>{});
}

template <class Body>
auto for_element_and_dim(DataType dtype, int head_dim, Body body) {
  return for_element(dtype, [&](auto element) { return for_dim(head_dim, [&](auto dim) { return body(element, dim); }); });
}

}  // namespace fovea::kernels
