// Backward on every NVIDIA GPU since Ampere: entry points.
#include "kernels/attention_cuda.h"
#include "kernels/cuda/sm80/backward_key.cuh"
#include "kernels/cuda/sm80/backward_query.cuh"
#include "kernels/cuda/sm80/launch.cuh"
#include "kernels/cuda/sm80/merge.cuh"

namespace fovea::kernels::sm80 {
namespace {

std::int64_t rounded_to_256_bytes(std::int64_t floats) { return (floats + 63) / 64 * 64; }
std::int64_t delta_floats(const AttentionShape& shape) { return rounded_to_256_bytes(shape.batch * shape.heads * shape.tokens()); }
std::int64_t query_partial_floats(const AttentionShape& shape) { return rounded_to_256_bytes(partial_floats(shape, shape.head_dim)); }

Arguments make_arguments(const AttentionBackward& parameters, void* workspace) {
  Arguments arguments{};
  arguments.scale = parameters.scale;
  arguments.query = parameters.query;
  arguments.key = parameters.key;
  arguments.value = parameters.value;
  arguments.output = parameters.output;
  arguments.grad_output = parameters.grad_output;
  arguments.lse = parameters.lse;
  arguments.grad_lse = parameters.grad_lse;
  arguments.result = parameters.grad_query;
  arguments.grad_key = parameters.grad_key;
  arguments.grad_value = parameters.grad_value;
  arguments.delta = static_cast<float*>(workspace);
  arguments.query_partials = arguments.delta + delta_floats(parameters.shape);
  arguments.key_partials = arguments.query_partials + query_partial_floats(parameters.shape);
  return arguments;
}

template <class Element, int kDim>
cudaError_t run(const AttentionShape& shape, Arguments& arguments, cudaStream_t stream) {
  cudaError_t error = launch<QueryGradientPass<Element, kDim, QueryGradientTuning<Element, kDim>>>(shape, arguments, stream);
  if (error != cudaSuccess) return error;
  error = launch<KeyGradientPass<Element, kDim, KeyGradientTuning<Element, kDim>>>(shape, arguments, stream);
  if (error != cudaSuccess || shape.global_tokens == 0) return error;
  merge_gradients<Element, kDim><<<unsigned(shape.batch * shape.heads * shape.global_tokens), 3 * kDim, 0, stream>>>(arguments);
  return cudaGetLastError();
}

}  // namespace

const char* backward_unsupported(const AttentionBackward& parameters, int compute_capability) {
  if (const char* reason = shape_unsupported(parameters.shape, compute_capability)) return reason;
  for (const ConstView& view : {parameters.query, parameters.key, parameters.value, parameters.output, parameters.grad_output,
                                as_const(parameters.grad_query), as_const(parameters.grad_key), as_const(parameters.grad_value)})
    if (const char* reason = view_unsupported(parameters.shape, view, parameters.dtype)) return reason;
  return nullptr;
}

std::size_t backward_workspace_bytes(const AttentionBackward& parameters) {
  const AttentionShape& shape = parameters.shape;
  return sizeof(float) * std::size_t(delta_floats(shape) + query_partial_floats(shape) + partial_floats(shape, 2 * shape.head_dim));
}

cudaError_t attention_backward(const AttentionBackward& parameters, void* workspace, cudaStream_t stream) {
  const AttentionShape& shape = parameters.shape;
  if (shape.batch == 0 || shape.heads == 0) return cudaSuccess;
  Arguments arguments = make_arguments(parameters, workspace);
  return for_element_and_dim(parameters.dtype, shape.head_dim, [&](auto element, auto dim) {
    return run<decltype(element), decltype(dim)::value>(shape, arguments, stream);
  });
}

}  // namespace fovea::kernels::sm80
