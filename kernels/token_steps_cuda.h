// token_steps.h on NVIDIA GPUs since Ampere. As in attention_cuda.h kernels neither allocate nor synchronise; all pointers are device
// memory. Results do not depend on the order in which thread blocks run.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/token_steps.h"

namespace fovea::kernels::cuda {

// nullptr, or why these parameters cannot run.
const char* rotation_unsupported(const PackedRotation& rotation);
const char* residual_norm_unsupported(const ResidualNorm& step);
const char* global_slices_unsupported(const GlobalSlices& part);

cudaError_t rotate_packed(const PackedRotation& rotation, cudaStream_t stream);
cudaError_t add_residual_and_normalise(const ResidualNorm& step, cudaStream_t stream);
cudaError_t attend_from_globals(const GlobalSlices& part, cudaStream_t stream);

}  // namespace fovea::kernels::cuda
