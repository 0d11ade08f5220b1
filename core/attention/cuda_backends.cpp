// Adapters of the CUDA kernels: workspace from torch's allocator, torch's current stream. libtorch_cuda.so is not linked: everything
// goes through c10's device interface, which that library registers when it is loaded.
#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>

#include <array>
#include <atomic>

#include "core/attention/backends.h"
#include "core/attention/cuda_check.h"
#include "core/attention/device_stream.h"
#include "core/attention/kernel_parameters.h"
#include "core/base/torch_runtime.h"
#include "kernels/attention_cuda.h"

namespace fovea {
namespace {

struct ForwardKernel {
  const char* (*unsupported)(const kernels::AttentionForward&, int);
  std::size_t (*workspace_bytes)(const kernels::AttentionForward&);
  cudaError_t (*run)(const kernels::AttentionForward&, void*, cudaStream_t);
};

struct BackwardKernel {
  const char* (*unsupported)(const kernels::AttentionBackward&, int);
  std::size_t (*workspace_bytes)(const kernels::AttentionBackward&);
  cudaError_t (*run)(const kernels::AttentionBackward&, void*, cudaStream_t);
};

constexpr ForwardKernel kSm90Forward{kernels::sm90::forward_unsupported, kernels::sm90::forward_workspace_bytes,
                                     kernels::sm90::attention_forward};
constexpr ForwardKernel kSm80Forward{kernels::sm80::forward_unsupported, kernels::sm80::forward_workspace_bytes,
                                     kernels::sm80::attention_forward};
constexpr BackwardKernel kSm90Backward{kernels::sm90::backward_unsupported, kernels::sm90::backward_workspace_bytes,
                                       kernels::sm90::attention_backward};
constexpr BackwardKernel kSm80Backward{kernels::sm80::backward_unsupported, kernels::sm80::backward_workspace_bytes,
                                       kernels::sm80::attention_backward};

// Asked once a device: the driver takes microseconds, and a call of the operator has few of them.
int compute_capability(c10::DeviceIndex device) {
  constexpr std::size_t kMaxDevices = 64;
  static std::array<std::atomic<int>, kMaxDevices> known{};
  const auto index = static_cast<std::size_t>(device);
  TORCH_CHECK(index < kMaxDevices, "local_global_attention: CUDA device ", index, ", expected fewer than ", kMaxDevices);
  if (const int capability = known[index]) return capability;
  int major = 0, minor = 0;
  const bool known_now = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
                         cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess;
  TORCH_CHECK(known_now, "local_global_attention: CUDA device ", index, " does not tell its compute capability");
  known[index] = 10 * major + minor;
  return known[index];
}

std::string tensors_unsupported(const AttentionCall& call) {
  if (!call.query.is_cuda()) return "tensors on " + call.query.device().str() + ", expected cuda";
  if (call.grid[0] == 0 || call.grid[1] == 0) return "an empty grid, expected at least one token";
  return kernel_types_unsupported(call);
}

template <class Kernel, class Parameters>
void launch(const char* name, const Kernel& kernel, const Parameters& parameters, const at::Tensor& query) {
  const c10::DeviceGuard guard(query.device());
  auto* stream = static_cast<cudaStream_t>(current_device_stream(query.device()));
  const auto bytes = static_cast<std::int64_t>(kernel.workspace_bytes(parameters));
  const at::Tensor workspace = at::empty({bytes}, query.options().dtype(at::kByte));
  check_cuda(kernel.run(parameters, bytes ? workspace.mutable_data_ptr() : nullptr, stream),
             std::string("local_global_attention: the back end ") + name);
}

std::string forward_reason(const ForwardKernel& kernel, const AttentionCall& call) {
  if (std::string reason = tensors_unsupported(call); !reason.empty()) return reason;
  const char* reason = kernel.unsupported(forward_parameters(call), compute_capability(call.query.get_device()));
  return reason ? reason : "";
}

std::string backward_reason(const BackwardKernel& kernel, const AttentionCall& call) {
  if (std::string reason = tensors_unsupported(call); !reason.empty()) return reason;
  const char* reason = kernel.unsupported(backward_parameters(call), compute_capability(call.query.get_device()));
  return reason ? reason : "";
}

AttentionResult run_forward_kernel(const char* name, const ForwardKernel& kernel, const AttentionCall& call) {
  kernels::AttentionForward parameters = forward_parameters(call);
  AttentionResult result = allocate_result(call, parameters);
  launch(name, kernel, parameters, call.query);
  return result;
}

AttentionGradients run_backward_kernel(const char* name, const BackwardKernel& kernel, const AttentionGradientCall& call) {
  PreparedBackward prepared = prepare_backward(call);
  launch(name, kernel, prepared.parameters, call.call.query);
  return prepared.gradients;
}

}  // namespace

namespace sm90_backend {
std::string unavailable() { return load_torch_cuda(); }
std::string forward_unsupported(const AttentionCall& call) { return forward_reason(kSm90Forward, call); }
AttentionResult forward(const AttentionCall& call) { return run_forward_kernel("sm90", kSm90Forward, call); }
std::string backward_unsupported(const AttentionCall& call) { return backward_reason(kSm90Backward, call); }
AttentionGradients backward(const AttentionGradientCall& call) { return run_backward_kernel("sm90", kSm90Backward, call); }
}  // namespace sm90_backend

namespace sm80_backend {
std::string unavailable() { return load_torch_cuda(); }
std::string forward_unsupported(const AttentionCall& call) { return forward_reason(kSm80Forward, call); }
AttentionResult forward(const AttentionCall& call) { return run_forward_kernel("sm80", kSm80Forward, call); }
std::string backward_unsupported(const AttentionCall& call) { return backward_reason(kSm80Backward, call); }
AttentionGradients backward(const AttentionGradientCall& call) { return run_backward_kernel("sm80", kSm80Backward, call); }
}  // namespace sm80_backend

}  // namespace fovea
