// The fused steps on a GPU: true if a kernel took them. False in builds without CUDA, and for parameters that no kernel takes.
#pragma once

#include "core/base/torch.h"
#include "kernels/token_steps.h"

namespace fovea::cuda_steps {

bool rotate_packed(const kernels::PackedRotation& rotation, torch::Device device);
bool add_residual_and_normalise(const kernels::ResidualNorm& step, torch::Device device);
bool attend_from_globals(const kernels::GlobalSlices& part, torch::Device device);

}  // namespace fovea::cuda_steps
