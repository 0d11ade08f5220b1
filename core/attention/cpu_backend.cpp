#include "core/attention/backends.h"
#include "core/attention/kernel_parameters.h"
#include "core/attention/torch_threads.h"
#include "kernels/attention_cpu.h"

namespace fovea::cpu_backend {
namespace {

std::string device_unsupported(const AttentionCall& call) {
  if (!call.query.is_cpu()) return "tensors on " + call.query.device().str() + ", expected cpu";
  return kernel_types_unsupported(call);
}

}  // namespace

std::string unavailable() { return {}; }

std::string forward_unsupported(const AttentionCall& call) {
  if (std::string reason = device_unsupported(call); !reason.empty()) return reason;
  const char* reason = kernels::cpu::forward_unsupported(forward_parameters(call));
  return reason ? reason : "";
}

AttentionResult forward(const AttentionCall& call) {
  kernels::AttentionForward parameters = forward_parameters(call);
  AttentionResult result = allocate_result(call, parameters);
  kernels::cpu::attention_forward(parameters, run_on_torch_threads);
  return result;
}

std::string backward_unsupported(const AttentionCall& call) {
  if (std::string reason = device_unsupported(call); !reason.empty()) return reason;
  const char* reason = kernels::cpu::backward_unsupported(backward_parameters(call));
  return reason ? reason : "";
}

AttentionGradients backward(const AttentionGradientCall& call) {
  const PreparedBackward prepared = prepare_backward(call);
  kernels::cpu::attention_backward(prepared.parameters, run_on_torch_threads);
  return prepared.gradients;
}

}  // namespace fovea::cpu_backend
