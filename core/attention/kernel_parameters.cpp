#include "core/attention/kernel_parameters.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace fovea {
namespace {

// A larger window sees the same keys and would only overflow the kernels' 32-bit arithmetic.
int effective_window(std::int64_t window, std::int64_t side) { return static_cast<int>(std::min(window, 2 * side + 1)); }

kernels::AttentionShape shape_of(const AttentionCall& call) {
  return {.batch = call.batch(), .grid_height = call.grid[0], .grid_width = call.grid[1], .heads = static_cast<int>(call.heads()),
          .head_dim = static_cast<int>(call.head_dim()), .global_tokens = static_cast<int>(call.global_tokens),
          .window_height = effective_window(call.window[0], call.grid[0]),
          .window_width = effective_window(call.window[1], call.grid[1]), .dilation = call.dilation.data()};
}

kernels::ConstView const_view(const at::Tensor& tensor) {
  return {tensor.const_data_ptr(), tensor.stride(0), tensor.stride(1), tensor.stride(2)};
}

kernels::MutableView mutable_view(const at::Tensor& tensor) {
  return {tensor.mutable_data_ptr(), tensor.stride(0), tensor.stride(1), tensor.stride(2)};
}

// What autograd hands over may have any strides: a gradient that was broadcast has strides of zero. Kernels that copy rows of 16 bytes get
// a contiguous copy of such a tensor.
at::Tensor addressable(const at::Tensor& tensor) {
  constexpr std::int64_t kRowBytes = 16;
  bool rows = tensor.stride(3) == 1 && reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr()) % kRowBytes == 0;
  for (int i = 0; i < 3; ++i) rows = rows && tensor.stride(i) > 0 && tensor.stride(i) * tensor.element_size() % kRowBytes == 0;
  return rows ? tensor : tensor.contiguous();
}

template <class Parameters>
void set_inputs(const AttentionCall& call, Parameters& parameters) {
  parameters.shape = shape_of(call);
  parameters.dtype = kernel_data_type(call.query.scalar_type());
  parameters.scale = static_cast<float>(call.scale);
  parameters.query = const_view(call.query);
  parameters.key = const_view(call.key);
  parameters.value = const_view(call.value);
}

}  // namespace

kernels::DataType kernel_data_type(at::ScalarType dtype) {
  switch (dtype) {
    case at::kBFloat16: return kernels::DataType::kBFloat16;
    case at::kHalf: return kernels::DataType::kFloat16;
    default: return kernels::DataType::kFloat32;
  }
}

std::string kernel_types_unsupported(const AttentionCall& call) {
  const at::ScalarType dtype = call.query.scalar_type();
  if (dtype != at::kFloat && dtype != at::kBFloat16 && dtype != at::kHalf) {
    return std::string("dtype ") + c10::toString(dtype) + ", expected float32, bfloat16 or float16";
  }
  return {};
}

kernels::AttentionForward forward_parameters(const AttentionCall& call) {
  kernels::AttentionForward parameters;
  set_inputs(call, parameters);
  return parameters;
}

kernels::AttentionBackward backward_parameters(const AttentionCall& call) {
  kernels::AttentionBackward parameters;
  set_inputs(call, parameters);
  return parameters;
}

AttentionResult allocate_result(const AttentionCall& call, kernels::AttentionForward& parameters) {
  AttentionResult result{at::empty(call.query.sizes(), call.query.options()),
                         at::empty({call.batch(), call.heads(), call.tokens()}, call.query.options().dtype(at::kFloat))};
  parameters.output = mutable_view(result.output);
  parameters.lse = result.lse.mutable_data_ptr<float>();
  return result;
}

PreparedBackward prepare_backward(const AttentionGradientCall& call) {
  PreparedBackward prepared{.call = call, .gradients = {}, .parameters = backward_parameters(call.call)};
  AttentionGradientCall& kept = prepared.call;
  kept.output = addressable(call.output);
  kept.grad_output = addressable(call.grad_output);
  kept.lse = call.lse.contiguous();
  if (call.grad_lse.defined()) kept.grad_lse = call.grad_lse.contiguous();
  const at::Tensor& query = call.call.query;
  for (at::Tensor* gradient : {&prepared.gradients.query, &prepared.gradients.key, &prepared.gradients.value}) {
    *gradient = at::empty(query.sizes(), query.options());
  }
  kernels::AttentionBackward& parameters = prepared.parameters;
  parameters.output = const_view(kept.output);
  parameters.grad_output = const_view(kept.grad_output);
  parameters.lse = kept.lse.const_data_ptr<float>();
  if (kept.grad_lse.defined()) parameters.grad_lse = kept.grad_lse.const_data_ptr<float>();
  parameters.grad_query = mutable_view(prepared.gradients.query);
  parameters.grad_key = mutable_view(prepared.gradients.key);
  parameters.grad_value = mutable_view(prepared.gradients.value);
  return prepared;
}

}  // namespace fovea
