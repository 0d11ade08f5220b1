// From tensors to the plain structs that kernels take.
#pragma once

#include <string>

#include "core/attention/attention_call.h"
#include "kernels/attention_params.h"

namespace fovea {

// float32 for any type that is neither bfloat16 nor float16.
kernels::DataType kernel_data_type(at::ScalarType dtype);

// "" if kernels (whichever) can take the tensors: float32, bfloat16 or float16.
std::string kernel_types_unsupported(const AttentionCall& call);

// What the unsupported() questions of kernels need: shape, strides, dtype, inputs; no output yet. The result points into the call.
kernels::AttentionForward forward_parameters(const AttentionCall& call);
kernels::AttentionBackward backward_parameters(const AttentionCall& call);

// Fresh, contiguous results, entered into the parameters.
AttentionResult allocate_result(const AttentionCall& call, kernels::AttentionForward& parameters);

// The same for gradients, plus the inputs of the backward pass. grad_output with D not contiguous is copied: keep the returned call alive.
struct PreparedBackward {
  AttentionGradientCall call;
  AttentionGradients gradients;
  kernels::AttentionBackward parameters;
};
PreparedBackward prepare_backward(const AttentionGradientCall& call);

}  // namespace fovea
