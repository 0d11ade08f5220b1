// Forward on every NVIDIA GPU since Ampere: entry points.
#include "kernels/attention_cuda.h"
#include "kernels/cuda/sm80/forward.cuh"
#include "kernels/cuda/sm80/launch.cuh"
#include "kernels/cuda/sm80/merge.cuh"

namespace fovea::kernels::sm80 {

const char* forward_unsupported(const AttentionForward& parameters, int compute_capability) {
  if (const char* reason = shape_unsupported(parameters.shape, compute_capability)) return reason;
  for (const ConstView& view : {parameters.query, parameters.key, parameters.value, as_const(parameters.output)})
    if (const char* reason = view_unsupported(parameters.shape, view, parameters.dtype)) return reason;
  return nullptr;
}

namespace {

template <class Element, int kDim>
using Forward = ForwardPass<Element, kDim, ForwardTuning<Element, kDim>>;

}  // namespace

std::size_t forward_workspace_bytes(const AttentionForward& parameters) {
  const AttentionShape& shape = parameters.shape;
  if (shape.global_tokens == 0 || shape.batch == 0 || shape.heads == 0) return 0;
  return for_element_and_dim(parameters.dtype, shape.head_dim, [&](auto element, auto dim) {
    return sizeof(float) * std::size_t(PassLaunch<Forward<decltype(element), decltype(dim)::value>>(shape).plan.partial_floats);
  });
}

cudaError_t attention_forward(const AttentionForward& parameters, void* workspace, cudaStream_t stream) {
  const AttentionShape& shape = parameters.shape;
  if (shape.batch == 0 || shape.heads == 0) return cudaSuccess;
  Arguments arguments{};
  arguments.scale = parameters.scale;
  arguments.query = parameters.query;
  arguments.key = parameters.key;
  arguments.value = parameters.value;
  arguments.result = parameters.output;
  arguments.lse_result = parameters.lse;
  arguments.query_partials = static_cast<float*>(workspace);
  return for_element_and_dim(parameters.dtype, shape.head_dim, [&](auto element, auto dim) {
    using Element = decltype(element);
    constexpr int kDim = decltype(dim)::value;
    const PassLaunch<Forward<Element, kDim>> pass(shape);
    const cudaError_t error = pass.run(arguments, stream);
    arguments.query_splits = pass.plan.layout.splits;
    if (error != cudaSuccess || shape.global_tokens == 0) return error;
    merge_outputs<Element, kDim><<<unsigned(shape.batch * shape.heads * shape.global_tokens), kDim, 0, stream>>>(arguments);
    return cudaGetLastError();
  });
}

}  // namespace fovea::kernels::sm80
