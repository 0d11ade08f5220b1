// Launches behind KernelSet; included by one .cu file for each element type.
#pragma once

#include "kernels/cuda/sm90/forward_kernel.cuh"
#include "kernels/cuda/sm90/global_kernel.cuh"
#include "kernels/cuda/sm90/kernel_set.h"
#include "kernels/cuda/sm90/merge.cuh"

namespace fovea::kernels::sm90 {

template <class Element, int kHeadDim>
cudaError_t launch_forward(const ForwardArguments& arguments, cudaStream_t stream) {
  const auto kernel = forward_kernel<Element, kHeadDim>;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  if (error != cudaSuccess) return error;
  kernel<<<arguments.schedule.ctas, ForwardConfig<kHeadDim>::kThreads, kSharedBytes, stream>>>(arguments);
  return cudaGetLastError();
}

template <class Element, int kHeadDim>
cudaError_t launch_global_queries(const SplitArguments& arguments, int planes, cudaStream_t stream) {
  const auto kernel = global_kernel<Element, kHeadDim>;
  constexpr int kBytes = SplitConfig<kHeadDim>::kSharedBytes;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  if (error != cudaSuccess) return error;
  kernel<<<dim3(planes, arguments.splits), kSplitThreads, kBytes, stream>>>(arguments);
  return cudaGetLastError();
}

// May start while the kernel before it drains (programmatic dependent launch); it waits before it reads.
template <class Element>
cudaError_t launch_merge(const MergeArguments& arguments, int blocks, cudaStream_t stream) {
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(kMergeThreads);
  config.stream = stream;
  config.attrs = &early;
  config.numAttrs = 1;
  return cudaLaunchKernelEx(&config, merge_kernel<Element>, arguments);
}

template <class Element>
const KernelSet& kernel_set(int compiled_head_dim) {
  static constexpr KernelSet k64{launch_forward<Element, 64>, launch_global_queries<Element, 64>, launch_merge<Element>};
  static constexpr KernelSet k128{launch_forward<Element, 128>, launch_global_queries<Element, 128>, launch_merge<Element>};
  return compiled_head_dim == 64 ? k64 : k128;
}

}  // namespace fovea::kernels::sm90
