// Launches behind BackwardKernels; included by one .cu file for each element type.
#pragma once

#include "kernels/cuda/sm90/backward_kernel.cuh"
#include "kernels/cuda/sm90/backward_kernels.h"
#include "kernels/cuda/sm90/delta.cuh"
#include "kernels/cuda/sm90/global_pass.cuh"
#include "kernels/cuda/sm90/merge_gradients.cuh"

namespace fovea::kernels::sm90 {

template <class Gradients>
cudaError_t launch_gradients(const BackwardArguments& arguments, cudaStream_t stream) {
  const auto kernel = backward_kernel<Gradients>;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  if (error != cudaSuccess) return error;
  kernel<<<arguments.schedule.ctas, Gradients::Config::kThreads, kSharedBytes, stream>>>(arguments);
  return cudaGetLastError();
}

template <class Element, Pass kPass, int kHeadDim>
cudaError_t launch_global_pass(const GlobalPassArguments& arguments, int planes, cudaStream_t stream) {
  const auto kernel = global_pass_kernel<Element, kPass, kHeadDim>;
  constexpr int kBytes = GlobalPassConfig<kPass, kHeadDim>::kSharedBytes;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  if (error != cudaSuccess) return error;
  kernel<<<dim3(planes, arguments.splits), kPassThreads, kBytes, stream>>>(arguments);
  return cudaGetLastError();
}

template <class Element>
cudaError_t launch_delta(const DeltaArguments& arguments, cudaStream_t stream) {
  const std::int64_t rows = kDeltaThreads / (arguments.head_dim / 8) * kDeltaRows;
  delta_kernel<Element><<<static_cast<unsigned>((arguments.rows + rows - 1) / rows), kDeltaThreads, 0, stream>>>(arguments);
  return cudaGetLastError();
}

template <class Element>
cudaError_t launch_merge_gradients(const GlobalMergeArguments& arguments, int planes, cudaStream_t stream) {
  merge_gradients_kernel<Element><<<planes * arguments.global_tokens, kMergeThreads, 0, stream>>>(arguments);
  return cudaGetLastError();
}

template <class Element, int kHeadDim, bool kRides>
const BackwardKernels& backward_kernels() {
  static constexpr BackwardKernels kKernels{launch_delta<Element>,
                                            launch_gradients<QueryGradients<Element, kHeadDim, kRides>>,
                                            launch_gradients<KeyGradients<Element, kHeadDim, kRides>>,
                                            launch_global_pass<Element, Pass::kQuery, kHeadDim>,
                                            launch_global_pass<Element, Pass::kKey, kHeadDim>,
                                            launch_merge_gradients<Element>};
  return kKernels;
}

template <class Element>
const BackwardKernels& backward_kernels(int compiled_head_dim, bool rides) {
  if (compiled_head_dim == 128) return backward_kernels<Element, 128, false>();
  return rides ? backward_kernels<Element, 64, true>() : backward_kernels<Element, 64, false>();
}

}  // namespace fovea::kernels::sm90
