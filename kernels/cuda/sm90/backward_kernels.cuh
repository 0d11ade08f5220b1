// Launches behind BackwardKernels; included by one .cu file for each element type.
#pragma once

#include "kernels/cuda/sm90/backward_kernel.cuh"
#include "kernels/cuda/sm90/backward_kernels.h"
#include "kernels/cuda/sm90/delta.cuh"
#include "kernels/cuda/sm90/merge_gradients.cuh"

namespace fovea::kernels::sm90 {

template <class Gradients>
cudaError_t launch_gradients(const BackwardArguments& arguments, cudaStream_t stream) {
  const auto kernel = backward_kernel<Gradients>;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  if (error != cudaSuccess) return error;
  kernel<<<arguments.schedule.ctas, BackwardConfig<Gradients::kPass>::kThreads, kSharedBytes, stream>>>(arguments);
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
  merge_gradients_kernel<Element><<<planes * arguments.global_tokens, kFinishThreads, 0, stream>>>(arguments);
  return cudaGetLastError();
}

template <class Element>
const BackwardKernels& backward_kernels() {
  static constexpr BackwardKernels kKernels{launch_delta<Element>, launch_gradients<QueryGradients<Element>>,
                                            launch_gradients<KeyGradients<Element>>, launch_merge_gradients<Element>};
  return kKernels;
}

}  // namespace fovea::kernels::sm90
