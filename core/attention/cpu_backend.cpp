#include <ATen/Parallel.h>

#include <atomic>

#include "core/attention/backends.h"
#include "core/attention/kernel_parameters.h"
#include "kernels/attention_cpu.h"

namespace fovea::cpu_backend {
namespace {

// torch splits a range evenly; tasks at borders are cheaper than others, so each thread takes the next one when it is done.
void parallel_for(std::int64_t tasks, const std::function<void(std::int64_t)>& body) {
  std::atomic<std::int64_t> next{0};
  const auto work = [&](std::int64_t, std::int64_t) {
    for (std::int64_t task = next++; task < tasks; task = next++) body(task);
  };
  at::parallel_for(0, std::min<std::int64_t>(tasks, at::get_num_threads()), 1, work);
}

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
  kernels::cpu::attention_forward(parameters, parallel_for);
  return result;
}

// The gradients of the CPU come from the reference's recomputation.
std::string backward_unsupported(const AttentionCall& call) {
  if (std::string reason = device_unsupported(call); !reason.empty()) return reason;
  return reference_backend::backward_unsupported(call);
}

AttentionGradients backward(const AttentionGradientCall& call) { return reference_backend::backward(call); }

}  // namespace fovea::cpu_backend
