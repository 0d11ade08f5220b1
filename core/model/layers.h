// The parameterised layers that encoder and decoder are made of. Unlike torch's own they leave their parameters unset until
// initialise(): a model that is about to be loaded, or refused, costs neither time nor touched memory.
#pragma once

#include <cstdint>

#include "core/attention/token_steps.h"
#include "core/base/torch.h"
#include "core/model/packed_weight.h"

namespace fovea {

constexpr double kInitialDeviation = 0.02;   // of weights, tokens and positions, as in other vision transformers

// y = x W' + b; weight [out, in], bias [out].
class Linear : public torch::nn::Module {
 public:
  Linear(std::int64_t in, std::int64_t out);
  void initialise(double deviation = kInitialDeviation);   // truncated normal, zero bias
  torch::Tensor forward(const torch::Tensor& x) { return at::linear(x, weight, bias); }

  // Without gradients, on the threads of TokenPieces: prepare() before, and after weights changed. x [n, in] -> [n, out], in given memory of
  // that shape or in new one; into(): in the given one.
  void prepare() { packed_.refresh(weight); }
  torch::Tensor apply(const torch::Tensor& x, const torch::Tensor& memory, Activation activation = Activation::kNone) const;
  void into(const torch::Tensor& x, const torch::Tensor& memory) const;

  torch::Tensor weight, bias;

 private:
  PackedWeight packed_;
};

// Over the last dimension, in the dtype of the weights (torch computes mean and variance in float32 also for 16-bit types).
class LayerNorm : public torch::nn::Module {
 public:
  LayerNorm(std::int64_t width, double eps);
  void initialise();
  // Without gradients in one pass over x, if that is contiguous.
  torch::Tensor forward(const torch::Tensor& x);
  Normalisation normalisation() const { return {.weight = weight, .bias = bias, .eps = eps_}; }

  torch::Tensor weight, bias;

 private:
  std::int64_t width_;
  double eps_;
};

// GELU of, and x added to, a tensor that nobody else looks at: in place where no gradients are wanted.
torch::Tensor gelu_of(torch::Tensor fresh);
torch::Tensor add_to(torch::Tensor fresh, const torch::Tensor& x);

// 3x3 convolution of [B, C, H, W] with a border of zeros; stride 2 halves even extents. weight [out, in, 3, 3], bias [out].
class Convolution3x3 : public torch::nn::Module {
 public:
  Convolution3x3(std::int64_t in, std::int64_t out, std::int64_t stride);
  void initialise();                                        // normal with variance 2 / fan-in (He et al. 2015), zero bias
  torch::Tensor forward(const torch::Tensor& x) { return torch::conv2d(x, weight, bias, stride_, 1); }

  torch::Tensor weight, bias;

 private:
  std::int64_t stride_;
};

}  // namespace fovea
