// Backward on every NVIDIA GPU since Ampere, for an element type: both passes and the sum of what the global tokens were given.
#pragma once

#include "kernels/cuda/sm80/backward.h"
#include "kernels/cuda/sm80/backward_key.cuh"
#include "kernels/cuda/sm80/backward_query.cuh"
#include "kernels/cuda/sm80/launch.cuh"
#include "kernels/cuda/sm80/merge.cuh"

namespace fovea::kernels::sm80 {

inline std::int64_t rounded_to_256_bytes(std::int64_t floats) { return (floats + 63) / 64 * 64; }

// Both passes, and where in the workspace each of them keeps what.
template <class Element, int kDim>
struct Backward {
  PassLaunch<QueryGradientPass<Element, kDim, QueryGradientTuning<Element, kDim>>> query;
  PassLaunch<KeyGradientPass<Element, kDim, KeyGradientTuning<Element, kDim>>> key;
  std::int64_t delta_floats, query_partial_floats;

  explicit Backward(const AttentionShape& shape)
      : query(shape), key(shape), delta_floats(rounded_to_256_bytes(shape.batch * shape.heads * shape.tokens())),
        query_partial_floats(rounded_to_256_bytes(query.plan.partial_floats)) {}
  std::int64_t floats() const { return delta_floats + query_partial_floats + key.plan.partial_floats; }

  cudaError_t run(const AttentionShape& shape, Arguments& arguments, void* workspace, cudaStream_t stream) const {
    arguments.delta = static_cast<float*>(workspace);
    arguments.query_partials = arguments.delta + delta_floats;
    arguments.key_partials = arguments.query_partials + query_partial_floats;
    arguments.query_splits = query.plan.layout.splits;
    arguments.key_splits = key.plan.layout.splits;
    cudaError_t error = query.run(arguments, stream);
    if (error == cudaSuccess) error = key.run(arguments, stream);
    if (error != cudaSuccess || shape.global_tokens == 0) return error;
    merge_gradients<Element, kDim><<<unsigned(shape.batch * shape.heads * shape.global_tokens), 3 * kDim, 0, stream>>>(arguments);
    return cudaGetLastError();
  }
};

inline Arguments make_arguments(const AttentionBackward& parameters) {
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
  return arguments;
}

template <class Element>
std::size_t backward_workspace(const AttentionShape& shape) {
  return for_dim(shape.head_dim, [&](auto dim) {
    return sizeof(float) * std::size_t(Backward<Element, decltype(dim)::value>(shape).floats());
  });
}

template <class Element>
cudaError_t run_backward(const AttentionBackward& parameters, void* workspace, cudaStream_t stream) {
  const AttentionShape& shape = parameters.shape;
  Arguments arguments = make_arguments(parameters);
  return for_dim(shape.head_dim, [&](auto dim) {
    return Backward<Element, decltype(dim)::value>(shape).run(shape, arguments, workspace, stream);
  });
}

}  // namespace fovea::kernels::sm80
