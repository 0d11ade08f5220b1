#include "core/model/layers.h"

#include <cmath>

namespace fovea {

Linear::Linear(std::int64_t in, std::int64_t out)
    : weight(register_parameter("weight", torch::empty({out, in}))), bias(register_parameter("bias", torch::empty({out}))) {}

void Linear::initialise(double deviation) {
  torch::NoGradGuard no_grad;
  weight.normal_(0, deviation).clamp_(-2 * deviation, 2 * deviation);
  bias.zero_();
}

torch::Tensor Linear::apply(const torch::Tensor& x, const torch::Tensor& memory, Activation activation) const {
  if (packed_.holds()) return packed_.multiply(x, bias, activation);
  auto y = memory;
  at::addmm_out(y, bias, x, weight.t());
  return activation == Activation::kGelu ? at::gelu_(y) : y;
}

void Linear::into(const torch::Tensor& x, const torch::Tensor& memory) const {
  const auto y = apply(x, memory);
  if (y.const_data_ptr() != memory.const_data_ptr()) memory.copy_(y);
}

LayerNorm::LayerNorm(std::int64_t width, double eps)
    : weight(register_parameter("weight", torch::empty({width}))), bias(register_parameter("bias", torch::empty({width}))),
      width_(width), eps_(eps) {}

void LayerNorm::initialise() {
  torch::NoGradGuard no_grad;
  weight.fill_(1);
  bias.zero_();
}

torch::Tensor LayerNorm::forward(const torch::Tensor& x) {
  if (c10::GradMode::is_enabled() || !x.is_contiguous() || x.scalar_type() != weight.scalar_type()) {
    return torch::layer_norm(x, {width_}, weight, bias, eps_);
  }
  auto result = torch::empty_like(x);
  add_residual_and_normalise({.stream = x.view({-1, width_}), .branch = {}, .scale = {}}, normalisation(), result.view({-1, width_}));
  return result;
}

torch::Tensor gelu_of(torch::Tensor fresh) { return c10::GradMode::is_enabled() ? torch::gelu(fresh) : at::gelu_(fresh); }

torch::Tensor add_to(torch::Tensor fresh, const torch::Tensor& x) { return c10::GradMode::is_enabled() ? fresh + x : fresh.add_(x); }

Convolution3x3::Convolution3x3(std::int64_t in, std::int64_t out, std::int64_t stride)
    : weight(register_parameter("weight", torch::empty({out, in, 3, 3}))), bias(register_parameter("bias", torch::empty({out}))),
      stride_(stride) {}

void Convolution3x3::initialise() {
  torch::NoGradGuard no_grad;
  weight.normal_(0, std::sqrt(2.0 / static_cast<double>(weight.size(1) * 9)));
  bias.zero_();
}

}  // namespace fovea
