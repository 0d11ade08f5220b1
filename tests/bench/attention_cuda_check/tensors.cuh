// A case's tensors, filled with random numbers, and its parameters for a back end.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "backends.h"
#include "device_memory.cuh"

namespace fovea::check {

__device__ inline std::uint32_t scrambled(std::uint64_t x) {     // the finaliser of SplitMix64 (Steele, Lea and Flood 2014)
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return std::uint32_t(x >> 32);
}

template <class Element>
__global__ void fill_normal(kernels::View<void*> view, int heads, int dim, std::int64_t tokens, std::int64_t count, float gain,
                            std::uint32_t seed) {
  for (std::int64_t i = blockIdx.x * std::int64_t(blockDim.x) + threadIdx.x; i < count; i += std::int64_t(gridDim.x) * blockDim.x) {
    const std::uint64_t key = (std::uint64_t(seed) << 40) + 2 * std::uint64_t(i);
    const float u = (scrambled(key * 0x9e3779b97f4a7c15ull) + 0.5f) * 0x1p-32f, v = scrambled((key + 1) * 0x9e3779b97f4a7c15ull) * 0x1p-32f;
    const float normal = sqrtf(-2.f * logf(u)) * cospif(2.f * v) * gain;
    const std::int64_t d = i % dim, h = i / dim % heads, n = i / dim / heads % tokens, b = i / dim / heads / tokens;
    static_cast<Element*>(view.data)[b * view.batch_stride + n * view.token_stride + h * view.head_stride + d] = Element(normal);
  }
}

template <class Element>
void fill(const Case& c, const Tensor& tensor, float gain, std::uint32_t seed) {
  const kernels::AttentionShape& s = c.shape;
  const std::int64_t count = s.batch * s.tokens() * s.heads * s.head_dim;
  fill_normal<Element><<<1024, 256>>>(tensor.view, s.heads, s.head_dim, s.tokens(), count, gain, seed);
}

template <class Element>
class Inputs {
 public:
  explicit Inputs(const Case& c)
      : qkv(c.shape, sizeof(Element), c.order, 3), grad_output(c.shape, sizeof(Element), Order::kTokens, 1),
        grad_lse(std::size_t(c.shape.batch * c.shape.heads * c.shape.tokens()) * 4) {
    for (int i = 0; i < 3; ++i) fill<Element>(c, qkv[i], i == 0 ? c.query_gain : 1.f, c.seed * 8 + i);
    fill<Element>(c, grad_output[0], 1.f, c.seed * 8 + 3);
    const std::int64_t rows = c.shape.batch * c.shape.heads * c.shape.tokens();
    fill_normal<float><<<256, 256>>>({grad_lse.data(), 0, 1, 0}, 1, 1, rows, rows, 1.f, c.seed * 8 + 4);
  }
  Tensors qkv, grad_output;
  DeviceBuffer grad_lse;
};

// Everything one run of a back end writes.
struct Outputs {
  Outputs(const Case& c)
      : output(c.shape, element_bytes(c.dtype), Order::kTokens, 1), lse(std::size_t(c.shape.batch * c.shape.heads * c.shape.tokens()) * 4),
        gradients(c.shape, element_bytes(c.dtype), c.order, 3) {}
  Tensors output;
  DeviceBuffer lse;
  Tensors gradients;
  DeviceBuffer workspace;
};

template <class Element>
kernels::AttentionForward forward_of(const Case& c, const Inputs<Element>& in, const Outputs& out) {
  kernels::AttentionForward p;
  p.shape = c.shape;
  p.shape.dilation = c.dilation.data();
  p.dtype = c.dtype;
  p.scale = c.scale;
  p.query = in.qkv[0].as_const(), p.key = in.qkv[1].as_const(), p.value = in.qkv[2].as_const();
  p.output = out.output[0].view;
  p.lse = out.lse.template data<float>();
  return p;
}

template <class Element>
kernels::AttentionBackward backward_of(const Case& c, const Inputs<Element>& in, const Outputs& out) {
  kernels::AttentionBackward p;
  p.shape = c.shape;
  p.shape.dilation = c.dilation.data();
  p.dtype = c.dtype;
  p.scale = c.scale;
  p.query = in.qkv[0].as_const(), p.key = in.qkv[1].as_const(), p.value = in.qkv[2].as_const();
  p.output = out.output[0].as_const();
  p.grad_output = in.grad_output[0].as_const();
  p.lse = out.lse.template data<float>();
  p.grad_lse = c.with_grad_lse ? in.grad_lse.template data<float>() : nullptr;
  p.grad_query = out.gradients[0].view, p.grad_key = out.gradients[1].view, p.grad_value = out.gradients[2].view;
  return p;
}

}  // namespace fovea::check
