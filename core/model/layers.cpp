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

LayerNorm::LayerNorm(std::int64_t width, double eps)
    : weight(register_parameter("weight", torch::empty({width}))), bias(register_parameter("bias", torch::empty({width}))),
      width_(width), eps_(eps) {}

void LayerNorm::initialise() {
  torch::NoGradGuard no_grad;
  weight.fill_(1);
  bias.zero_();
}

Convolution3x3::Convolution3x3(std::int64_t in, std::int64_t out, std::int64_t stride)
    : weight(register_parameter("weight", torch::empty({out, in, 3, 3}))), bias(register_parameter("bias", torch::empty({out}))),
      stride_(stride) {}

void Convolution3x3::initialise() {
  torch::NoGradGuard no_grad;
  weight.normal_(0, std::sqrt(2.0 / static_cast<double>(weight.size(1) * 9)));
  bias.zero_();
}

}  // namespace fovea
