// The backward's kernels as the host launches them: one set for each element type.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/cuda/sm90/backward_sums.h"

namespace fovea::kernels::sm90 {

struct BackwardKernels {
  cudaError_t (*delta)(const DeltaArguments&, cudaStream_t);
  cudaError_t (*query_gradients)(const BackwardArguments&, cudaStream_t);
  cudaError_t (*key_gradients)(const BackwardArguments&, cudaStream_t);
  cudaError_t (*merge)(const GlobalMergeArguments&, int planes, cudaStream_t);
};

const BackwardKernels& bfloat16_backward_kernels();
const BackwardKernels& float16_backward_kernels();

}  // namespace fovea::kernels::sm90
