// The two registered operators: their signatures, and typed calls of them through torch's dispatcher.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <tuple>

namespace fovea {

// The attributes of the schema as torch passes them: grid (H, W), window (height, width), dilation (one entry, or one a head).
struct PatternArguments {
  at::IntArrayRef grid;
  std::int64_t global_tokens = 0;
  at::IntArrayRef window, dilation;
};

struct GradientArguments {
  at::Tensor grad_output;
  std::optional<at::Tensor> grad_lse;
  at::Tensor query, key, value, output, lse;
};

using ForwardSignature = std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, const at::Tensor&, const at::Tensor&, at::IntArrayRef,
                                                            std::int64_t, at::IntArrayRef, at::IntArrayRef, std::optional<double>);
using BackwardSignature = std::tuple<at::Tensor, at::Tensor, at::Tensor>(
    const at::Tensor&, const std::optional<at::Tensor>&, const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
    const at::Tensor&, at::IntArrayRef, std::int64_t, at::IntArrayRef, at::IntArrayRef, std::optional<double>);

std::tuple<at::Tensor, at::Tensor> call_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                                const PatternArguments& pattern, std::optional<double> scale);
std::tuple<at::Tensor, at::Tensor, at::Tensor> call_backward(const GradientArguments& gradient, const PatternArguments& pattern,
                                                             std::optional<double> scale);

// The kernels that operator.cpp registers for torch's autograd and autocast (autograd.cpp).
ForwardSignature forward_autograd, forward_autocast_cpu, forward_autocast_cuda;

}  // namespace fovea
