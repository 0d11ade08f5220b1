// The back ends under test. One row each; a row without a backward says so through backward_unsupported.
#pragma once

#include "kernels/attention_cuda.h"

namespace fovea::check {

struct Backend {
  const char* name;
  const char* (*forward_unsupported)(const kernels::AttentionForward&, int compute_capability);
  std::size_t (*forward_workspace_bytes)(const kernels::AttentionForward&);
  cudaError_t (*forward)(const kernels::AttentionForward&, void* workspace, cudaStream_t);
  const char* (*backward_unsupported)(const kernels::AttentionBackward&, int compute_capability);
  std::size_t (*backward_workspace_bytes)(const kernels::AttentionBackward&);
  cudaError_t (*backward)(const kernels::AttentionBackward&, void* workspace, cudaStream_t);
};

const Backend* find_backend(const char* name);  // nullptr if there is none

}  // namespace fovea::check
