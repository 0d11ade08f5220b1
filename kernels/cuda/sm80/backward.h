// The backward of an element type. Each is compiled in a file of its own, by as many compilers as there are cores.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "kernels/attention_cuda.h"

namespace fovea::kernels::sm80 {

template <class Element>
std::size_t backward_workspace(const AttentionShape& shape);

template <class Element>
cudaError_t run_backward(const AttentionBackward& parameters, void* workspace, cudaStream_t stream);

}  // namespace fovea::kernels::sm80
