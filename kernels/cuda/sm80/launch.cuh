// Host side: launches.
#pragma once

#include <type_traits>

#include "kernels/cuda/sm80/pass.cuh"
#include "kernels/cuda/sm80/plan.h"
#include "kernels/cuda/sm80/tuning.h"

namespace fovea::kernels::sm80 {

template <class Pass>
cudaError_t launch(const AttentionShape& shape, Arguments& arguments, cudaStream_t stream) {
  using Tuning = typename Pass::Tuning;
  const Plan plan = make_plan(shape, Tuning::kWarps);
  arguments.layout = plan.layout;
  arguments.heads = plan.heads;
  constexpr int kSharedBytes = Tuning::kStages * Pass::kStageBytes;
  static_assert(kSharedBytes <= 99 * 1024 - 1024, "every GPU since Ampere offers 99 KiB to a thread block");
  const cudaError_t error = cudaFuncSetAttribute(run_pass<Pass>, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  if (error != cudaSuccess) return error;
  run_pass<Pass><<<unsigned(plan.thread_blocks), Tuning::kWarps * 32, kSharedBytes, stream>>>(arguments);
  return cudaGetLastError();
}

// Calls body(Element{}, integral_constant<int, head_dim>{}).
template <class Body>
cudaError_t for_element_and_dim(DataType dtype, int head_dim, Body body) {
  const auto with_dim = [&](auto element) {
    if (head_dim == 32) return body(element, std::integral_constant<int, 32>{});
    if (head_dim == 64) return body(element, std::integral_constant<int, 64>{});
    if (head_dim == 128) return body(element, std::integral_constant<int, 128>{});
    return cudaErrorInvalidValue;
  };
  if (dtype == DataType::kBFloat16) return with_dim(__nv_bfloat16{});
  if (dtype == DataType::kFloat16) return with_dim(__half{});
  return with_dim(float{});
}

}  // namespace fovea::kernels::sm80
