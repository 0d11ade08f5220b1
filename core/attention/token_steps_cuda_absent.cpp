#include "core/attention/token_steps_cuda.h"

namespace fovea::cuda_steps {

bool rotate_packed(const kernels::PackedRotation&, torch::Device) { return false; }
bool add_residual_and_normalise(const kernels::ResidualNorm&, torch::Device) { return false; }
bool attend_from_globals(const kernels::GlobalSlices&, torch::Device) { return false; }

}  // namespace fovea::cuda_steps
