#include "core/attention/token_steps_cuda.h"

#include "core/attention/cuda_check.h"
#include "core/attention/device_stream.h"
#include "kernels/token_steps_cuda.h"

namespace fovea::cuda_steps {
namespace {

template <class Step>
bool run(const char* unsupported, const Step& step, torch::Device device, cudaError_t (*launch)(const Step&, cudaStream_t)) {
  if (unsupported != nullptr) return false;
  const c10::DeviceGuard guard(device);
  check_cuda(launch(step, static_cast<cudaStream_t>(current_device_stream(device))), "a fused step on the GPU");
  return true;
}

}  // namespace

bool rotate_packed(const kernels::PackedRotation& rotation, torch::Device device) {
  return run(kernels::cuda::rotation_unsupported(rotation), rotation, device, kernels::cuda::rotate_packed);
}

bool add_residual_and_normalise(const kernels::ResidualNorm& step, torch::Device device) {
  return run(kernels::cuda::residual_norm_unsupported(step), step, device, kernels::cuda::add_residual_and_normalise);
}

bool attend_from_globals(const kernels::GlobalSlices& part, torch::Device device) {
  return run(kernels::cuda::global_slices_unsupported(part), part, device, kernels::cuda::attend_from_globals);
}

}  // namespace fovea::cuda_steps
