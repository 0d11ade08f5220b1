// What torch's autograd and autocast do with fovea::local_global_attention.
#include <ATen/autocast_mode.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/attention/argument_checks.h"
#include "core/attention/backend_table.h"
#include "core/attention/operator_calls.h"

namespace fovea {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct SavedPattern {
  std::vector<std::int64_t> grid, window, dilation;
  std::int64_t global_tokens;
  std::optional<double> scale;
  PatternArguments arguments() const { return {grid, global_tokens, window, dilation}; }
};

void save_pattern(AutogradContext* context, const PatternArguments& pattern, std::optional<double> scale) {
  context->saved_data["grid"] = pattern.grid;
  context->saved_data["global_tokens"] = pattern.global_tokens;
  context->saved_data["window"] = pattern.window;
  context->saved_data["dilation"] = pattern.dilation;
  context->saved_data["scale"] = scale;
}

SavedPattern saved_pattern(AutogradContext* context) {
  auto& data = context->saved_data;
  return {.grid = data["grid"].toIntVector(), .window = data["window"].toIntVector(), .dilation = data["dilation"].toIntVector(),
          .global_tokens = data["global_tokens"].toInt(), .scale = data["scale"].toOptional<double>()};
}

class AttentionFunction : public torch::autograd::Function<AttentionFunction> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                               const PatternArguments& pattern, std::optional<double> scale) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    auto [output, lse] = call_forward(query, key, value, pattern, scale);
    context->save_for_backward({query, key, value, output, lse});
    context->set_materialize_grads(false);   // an lse that nobody uses must not cost a gradient of zeros
    save_pattern(context, pattern, scale);
    return {output, lse};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list none(5);
    if (!gradients[0].defined() && !gradients[1].defined()) return none;
    const variable_list saved = context->get_saved_variables();
    const bool differentiates_twice =
        at::GradMode::is_enabled() && (gradients[0].requires_grad() || gradients[1].requires_grad() || saved[0].requires_grad());
    TORCH_CHECK(!differentiates_twice, "local_global_attention: second derivatives (create_graph) are not available");
    const SavedPattern pattern = saved_pattern(context);
    const GradientArguments arguments{
        .grad_output = gradients[0].defined() ? gradients[0] : at::zeros_like(saved[3]),
        .grad_lse = gradients[1].defined() ? std::optional(gradients[1]) : std::nullopt,
        .query = saved[0], .key = saved[1], .value = saved[2], .output = saved[3], .lse = saved[4]};
    const at::AutoDispatchBelowADInplaceOrView guard;
    auto [query, key, value] = call_backward(arguments, pattern.arguments(), pattern.scale);
    return {query, key, value, at::Tensor(), at::Tensor()};
  }
};

// A gradient that no back end can give is refused now, and not after hours of forward passes.
void check_gradients_available(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const PatternArguments& pattern,
                               std::optional<double> scale) {
  const bool needed = query.requires_grad() || key.requires_grad() || value.requires_grad();
  // Tensors that a compiler traces with have no memory to ask a back end about.
  const bool traced = query.unsafeGetTensorImpl()->is_python_dispatch();
  if (!needed || traced || !at::GradMode::is_enabled() || !(query.is_cpu() || query.is_cuda())) return;
  const AttentionPattern checked{.grid = {pattern.grid[0], pattern.grid[1]}, .global_tokens = pattern.global_tokens,
                                 .window = {pattern.window[0], pattern.window[1]}, .dilation = pattern.dilation.vec()};
  choose_backward_backend(make_attention_call(query, key, value, checked, scale));
}

template <c10::DeviceType kDevice>
std::tuple<at::Tensor, at::Tensor> cast_and_call(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                                 const PatternArguments& pattern, std::optional<double> scale) {
  const c10::impl::ExcludeDispatchKeyGuard guard(at::autocast::get_autocast_dispatch_key_from_device_type(kDevice));
  const at::ScalarType dtype = at::autocast::get_autocast_dtype(kDevice);
  const auto cast = [&](const at::Tensor& tensor) { return at::autocast::cached_cast(dtype, tensor, kDevice); };
  return call_forward(cast(query), cast(key), cast(value), pattern, scale);
}

}  // namespace

std::tuple<at::Tensor, at::Tensor> forward_autograd(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                                    at::IntArrayRef grid, std::int64_t global_tokens, at::IntArrayRef window,
                                                    at::IntArrayRef dilation, std::optional<double> scale) {
  const PatternArguments pattern{grid, global_tokens, window, dilation};
  check_gradients_available(query, key, value, pattern, scale);
  const variable_list results = AttentionFunction::apply(query, key, value, pattern, scale);
  return {results[0], results[1]};
}

std::tuple<at::Tensor, at::Tensor> forward_autocast_cpu(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                                        at::IntArrayRef grid, std::int64_t global_tokens, at::IntArrayRef window,
                                                        at::IntArrayRef dilation, std::optional<double> scale) {
  return cast_and_call<c10::DeviceType::CPU>(query, key, value, {grid, global_tokens, window, dilation}, scale);
}

std::tuple<at::Tensor, at::Tensor> forward_autocast_cuda(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                                         at::IntArrayRef grid, std::int64_t global_tokens, at::IntArrayRef window,
                                                         at::IntArrayRef dilation, std::optional<double> scale) {
  return cast_and_call<c10::DeviceType::CUDA>(query, key, value, {grid, global_tokens, window, dilation}, scale);
}

}  // namespace fovea
