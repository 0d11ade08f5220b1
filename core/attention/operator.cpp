// Registration of fovea::local_global_attention, and the C++ functions that call it.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/library.h>

#include "core/attention/argument_checks.h"
#include "core/attention/backend_table.h"
#include "core/attention/operator_calls.h"

namespace fovea {
namespace {

AttentionPattern pattern_of(const PatternArguments& arguments) {
  return {.grid = {arguments.grid[0], arguments.grid[1]}, .global_tokens = arguments.global_tokens,
          .window = {arguments.window[0], arguments.window[1]}, .dilation = arguments.dilation.vec()};
}

std::tuple<at::Tensor, at::Tensor> forward_kernel(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                                  at::IntArrayRef grid, std::int64_t global_tokens, at::IntArrayRef window,
                                                  at::IntArrayRef dilation, std::optional<double> scale) {
  const AttentionPattern pattern = pattern_of({grid, global_tokens, window, dilation});
  AttentionResult result = run_forward(make_attention_call(query, key, value, pattern, scale));
  return {result.output, result.lse};
}

std::tuple<at::Tensor, at::Tensor> forward_meta(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                                at::IntArrayRef grid, std::int64_t global_tokens, at::IntArrayRef window,
                                                at::IntArrayRef dilation, std::optional<double> scale) {
  check_attention_arguments(query, key, value, pattern_of({grid, global_tokens, window, dilation}), scale);
  const auto lse_dtype = query.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return {at::empty_symint(query.sym_sizes(), query.options()),
          at::empty_symint({query.sym_size(0), query.sym_size(2), query.sym_size(1)}, query.options().dtype(lse_dtype))};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_kernel(
    const at::Tensor& grad_output, const std::optional<at::Tensor>& grad_lse, const at::Tensor& query, const at::Tensor& key,
    const at::Tensor& value, const at::Tensor& output, const at::Tensor& lse, at::IntArrayRef grid, std::int64_t global_tokens,
    at::IntArrayRef window, at::IntArrayRef dilation, std::optional<double> scale) {
  const AttentionPattern pattern = pattern_of({grid, global_tokens, window, dilation});
  const AttentionGradients gradients =
      run_backward({.call = make_attention_call(query, key, value, pattern, scale), .output = output, .lse = lse,
                    .grad_output = grad_output, .grad_lse = grad_lse.value_or(at::Tensor())});
  return {gradients.query, gradients.key, gradients.value};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_meta(
    const at::Tensor& grad_output, const std::optional<at::Tensor>& grad_lse, const at::Tensor& query, const at::Tensor& key,
    const at::Tensor& value, const at::Tensor& output, const at::Tensor& lse, at::IntArrayRef grid, std::int64_t global_tokens,
    at::IntArrayRef window, at::IntArrayRef dilation, std::optional<double> scale) {
  const auto gradient = [&] { return at::empty_symint(query.sym_sizes(), query.options()); };
  return {gradient(), gradient(), gradient()};
}

}  // namespace

std::tuple<at::Tensor, at::Tensor> call_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                                const PatternArguments& pattern, std::optional<double> scale) {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("fovea::local_global_attention", "").typed<ForwardSignature>();
  return op.call(query, key, value, pattern.grid, pattern.global_tokens, pattern.window, pattern.dilation, scale);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> call_backward(const GradientArguments& gradient, const PatternArguments& pattern,
                                                             std::optional<double> scale) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("fovea::local_global_attention_backward", "").typed<BackwardSignature>();
  return op.call(gradient.grad_output, gradient.grad_lse, gradient.query, gradient.key, gradient.value, gradient.output, gradient.lse,
                 pattern.grid, pattern.global_tokens, pattern.window, pattern.dilation, scale);
}

AttentionResult local_global_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                       const AttentionPattern& pattern, std::optional<double> scale) {
  auto [output, lse] = call_forward(query, key, value, {pattern.grid, pattern.global_tokens, pattern.window, pattern.dilation}, scale);
  return {output, lse};
}

at::Tensor dense_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, std::optional<double> scale) {
  return at::scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), /*attn_mask=*/{},
                                          /*dropout_p=*/0.0, /*is_causal=*/false, scale)
      .transpose(1, 2);
}

}  // namespace fovea

TORCH_LIBRARY(fovea, library) {
  library.def(
      "local_global_attention(Tensor query, Tensor key, Tensor value, int[2] grid, int global_tokens, int[2] window, int[] dilation, "
      "float? scale=None) -> (Tensor output, Tensor lse)");
  library.def(
      "local_global_attention_backward(Tensor grad_output, Tensor? grad_lse, Tensor query, Tensor key, Tensor value, Tensor output, "
      "Tensor lse, int[2] grid, int global_tokens, int[2] window, int[] dilation, float? scale=None) -> "
      "(Tensor grad_query, Tensor grad_key, Tensor grad_value)");
}

TORCH_LIBRARY_IMPL(fovea, CPU, library) {
  library.impl("local_global_attention", fovea::forward_kernel);
  library.impl("local_global_attention_backward", fovea::backward_kernel);
}

TORCH_LIBRARY_IMPL(fovea, CUDA, library) {
  library.impl("local_global_attention", fovea::forward_kernel);
  library.impl("local_global_attention_backward", fovea::backward_kernel);
}

TORCH_LIBRARY_IMPL(fovea, Meta, library) {
  library.impl("local_global_attention", fovea::forward_meta);
  library.impl("local_global_attention_backward", fovea::backward_meta);
}

TORCH_LIBRARY_IMPL(fovea, Autograd, library) { library.impl("local_global_attention", fovea::forward_autograd); }

TORCH_LIBRARY_IMPL(fovea, AutocastCPU, library) { library.impl("local_global_attention", fovea::forward_autocast_cpu); }

TORCH_LIBRARY_IMPL(fovea, AutocastCUDA, library) { library.impl("local_global_attention", fovea::forward_autocast_cuda); }
