// What every back end of the attention operator is given. No torch, no CUDA types: plain pointers, sizes and strides.
//
// Sequence: global_tokens G first, then the grid of grid_height x grid_width tokens, row-major; N = G + H * W. A grid query at (y, x)
// attends to all G global tokens and to the grid tokens (y + d*i, x + d*j), |i| <= rh, |j| <= rw, that lie inside the grid
// (d: the head's dilation; rh, rw: the window's radii). A global query attends to all N tokens. Softmax over exactly those keys.
// Longformer (Beltagy et al. 2020) in two dimensions; docs/attention.md.
#pragma once

#include <cstdint>
#include <functional>

namespace fovea::kernels {

enum class DataType : std::uint8_t { kFloat32, kBFloat16, kFloat16 };

constexpr int kMaxGlobalTokens = 64;
constexpr int kMaxHeads = 256;

// A tensor [B, N, heads, D] with D contiguous; strides in elements, 64-bit, so that a slice of a packed qkv projection is used as it is.
template <class Pointer>
struct View {
  Pointer data = nullptr;
  std::int64_t batch_stride = 0, token_stride = 0, head_stride = 0;
};
using ConstView = View<const void*>;
using MutableView = View<void*>;

struct AttentionShape {
  std::int64_t batch = 0;
  std::int64_t grid_height = 0, grid_width = 0;
  int heads = 0, head_dim = 0, global_tokens = 0;
  int window_height = 1, window_width = 1;      // odd; not larger than needed: radius * dilation may exceed the grid
  const std::int32_t* dilation = nullptr;       // [heads], host memory, each >= 1
  std::int64_t tokens() const { return global_tokens + grid_height * grid_width; }
};

struct AttentionForward {
  AttentionShape shape;
  DataType dtype = DataType::kFloat32;
  float scale = 1.0f;
  ConstView query, key, value;
  MutableView output;
  float* lse = nullptr;                         // [B, heads, N] contiguous, natural log of the sum of exp(scale * q.k)
};

// Gradients of sum(output * grad_output) + sum(lse * grad_lse).
struct AttentionBackward {
  AttentionShape shape;
  DataType dtype = DataType::kFloat32;
  float scale = 1.0f;
  ConstView query, key, value, output, grad_output;
  const float* lse = nullptr;                   // [B, heads, N]
  const float* grad_lse = nullptr;              // [B, heads, N] or nullptr for none
  MutableView grad_query, grad_key, grad_value;
};

// Runs body(task) for every task in [0, tasks), on any threads in any order, and returns when all are done. The caller (core/attention)
// passes torch's thread pool; kernels own no threads.
using ParallelFor = std::function<void(std::int64_t tasks, const std::function<void(std::int64_t task)>& body)>;

}  // namespace fovea::kernels
