// The kernels as the host launches them: one set for each element type and compiled head_dim.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/cuda/sm90/forward_arguments.h"

namespace fovea::kernels::sm90 {

struct SplitArguments;
struct MergeArguments;

struct KernelSet {
  cudaError_t (*forward)(const ForwardArguments&, cudaStream_t);
  cudaError_t (*global_queries)(const SplitArguments&, int planes, cudaStream_t);
  cudaError_t (*merge)(const MergeArguments&, int blocks, cudaStream_t);
};

// compiled_head_dim: 64 or 128.
const KernelSet& bfloat16_kernels(int compiled_head_dim);
const KernelSet& float16_kernels(int compiled_head_dim);

}  // namespace fovea::kernels::sm90
