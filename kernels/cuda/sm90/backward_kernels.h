// The backward's kernels as the host launches them: one set for each element type, compiled head_dim and place of the globals' gradients.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/cuda/sm90/backward_sums.h"

namespace fovea::kernels::sm90 {

struct BackwardKernels {
  cudaError_t (*delta)(const DeltaArguments&, cudaStream_t);
  cudaError_t (*query_gradients)(const BackwardArguments&, cudaStream_t);
  cudaError_t (*key_gradients)(const BackwardArguments&, cudaStream_t);
  cudaError_t (*global_query_gradients)(const GlobalPassArguments&, int planes, cudaStream_t);
  cudaError_t (*global_key_gradients)(const GlobalPassArguments&, int planes, cudaStream_t);
  cudaError_t (*merge)(const GlobalMergeArguments&, int planes, cudaStream_t);
};

// compiled_head_dim: 64 or 128, which has no riding kernels.
const BackwardKernels& bfloat16_backward_kernels(int compiled_head_dim, bool rides);
const BackwardKernels& float16_backward_kernels(int compiled_head_dim, bool rides);

}  // namespace fovea::kernels::sm90
