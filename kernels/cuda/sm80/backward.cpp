// Backward on every NVIDIA GPU since Ampere: entry points.
#include "kernels/cuda/sm80/backward.h"

#include "kernels/cuda/dispatch.h"
#include "kernels/cuda/sm80/plan.h"

namespace fovea::kernels::sm80 {

const char* backward_unsupported(const AttentionBackward& parameters, int compute_capability) {
  if (const char* reason = shape_unsupported(parameters.shape, compute_capability)) return reason;
  for (const ConstView& view : {parameters.query, parameters.key, parameters.value, parameters.output, parameters.grad_output,
                                as_const(parameters.grad_query), as_const(parameters.grad_key), as_const(parameters.grad_value)})
    if (const char* reason = view_unsupported(parameters.shape, view, parameters.dtype)) return reason;
  return nullptr;
}

std::size_t backward_workspace_bytes(const AttentionBackward& parameters) {
  const AttentionShape& shape = parameters.shape;
  if (shape.batch == 0 || shape.heads == 0) return 0;
  return for_element(parameters.dtype, [&](auto element) { return backward_workspace<decltype(element)>(shape); });
}

cudaError_t attention_backward(const AttentionBackward& parameters, void* workspace, cudaStream_t stream) {
  if (parameters.shape.batch == 0 || parameters.shape.heads == 0) return cudaSuccess;
  return for_element(parameters.dtype, [&](auto element) { return run_backward<decltype(element)>(parameters, workspace, stream); });
}

}  // namespace fovea::kernels::sm80
