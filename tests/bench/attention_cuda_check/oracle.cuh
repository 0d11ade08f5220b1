// The operator as its definition says it, one thread block a row and no tricks: the judge of the fast kernels.
//
// Oracle<double, false> is the truth. Oracle<float, true> is plain arithmetic in the element type's precision: float32 sums, weights
// rounded to the element type before they meet values, as every attention in that type does. Its error against the truth is the yardstick.
// `unit` is what a weight of 1 is rounded as: a softmax may be shifted by anything, and where a weight falls between two numbers of the
// type depends on it. kFirstKeyUnit: a row is shifted by the score of its first key, as by those who meet keys in turn and look for no
// maximum (if the maximum is further than kKeptSpread above, they must).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/attention_params.h"

namespace fovea::check {

struct Geometry {
  int batch, heads, height, width, global_tokens, radius_y, radius_x;
  int dilation[kernels::kMaxHeads];
  __host__ __device__ std::int64_t tokens() const { return global_tokens + std::int64_t(height) * width; }
};

// The tokens that `token` meets: as a query its keys, as a key its queries; the relation is symmetric.
struct Neighbours {
  std::int64_t count;
  int global_tokens, width, dilation, y, x, up, left, columns;     // columns 0: all tokens
  __device__ Neighbours(const Geometry& g, int head, std::int64_t token) : global_tokens(g.global_tokens), width(g.width), columns(0) {
    count = g.tokens();
    if (token < g.global_tokens) return;
    dilation = g.dilation[head];
    y = int((token - global_tokens) / width), x = int((token - global_tokens) % width);
    up = min(g.radius_y, y / dilation), left = min(g.radius_x, x / dilation);
    columns = left + min(g.radius_x, (width - 1 - x) / dilation) + 1;
    count = global_tokens + std::int64_t(columns) * (up + min(g.radius_y, (g.height - 1 - y) / dilation) + 1);
  }
  __device__ std::int64_t token(std::int64_t i) const {
    if (columns == 0 || i < global_tokens) return i;
    i -= global_tokens;
    return global_tokens + (y + (i / columns - up) * dilation) * width + x + (i % columns - left) * dilation;
  }
};

constexpr float kFirstKeyUnit = 0.f;
template <class Element> constexpr float kKeptSpread = 60.f;    // nats
template <> inline constexpr float kKeptSpread<__half> = 10.f;

template <class Element, class Real, bool kRounded>
__device__ Real weight(Real x, float unit = 1) {
  return kRounded ? Real(Element(float(x) * unit)) / Real(unit) : x;
}

template <class Element, class Real>
__device__ Real dot(const Element* a, const Element* b, int dim) {
  Real sum = 0;
  for (int d = 0; d < dim; ++d) sum += Real(float(a[d])) * Real(float(b[d]));
  return sum;
}

template <class Element>
__device__ const Element* row(const kernels::ConstView& view, int batch, int head, std::int64_t token) {
  return static_cast<const Element*>(view.data) + batch * view.batch_stride + head * view.head_stride + token * view.token_stride;
}

constexpr int kThreads = 128;

template <class Real>
__device__ Real block_reduce(Real x, bool maximum) {
  __shared__ Real shared[kThreads];
  shared[threadIdx.x] = x;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (int(threadIdx.x) < step) {
      const Real other = shared[threadIdx.x + step];
      shared[threadIdx.x] = maximum ? max(shared[threadIdx.x], other) : shared[threadIdx.x] + other;
    }
    __syncthreads();
  }
  const Real result = shared[0];
  __syncthreads();
  return result;
}

// Row r of [B, heads, N]: r = blockIdx.x.
struct Row {
  int batch, head;
  std::int64_t token, index;
  __device__ explicit Row(const Geometry& g) : index(blockIdx.x) {
    token = index % g.tokens();
    head = int(index / g.tokens() % g.heads);
    batch = int(index / g.tokens() / g.heads);
  }
};

// output [B, heads, N, dim] and lse [B, heads, N], contiguous.
template <class Element, class Real, bool kRounded>
__global__ void oracle_forward(Geometry g, int dim, float scale, float unit, kernels::ConstView query, kernels::ConstView key,
                               kernels::ConstView value, Real* output, Real* lse) {
  __shared__ Real weights[kThreads];
  const Row r(g);
  const Neighbours near(g, r.head, r.token);
  const Element* q = row<Element>(query, r.batch, r.head, r.token);
  const auto score = [&](std::int64_t i) {
    return Real(scale) * dot<Element, Real>(q, row<Element>(key, r.batch, r.head, near.token(i)), dim);
  };
  Real largest = -INFINITY, sum = 0, sum_of_values = 0;
  for (std::int64_t i = threadIdx.x; i < near.count; i += kThreads) largest = max(largest, score(i));
  largest = block_reduce(largest, true);
  if (kRounded && unit == kFirstKeyUnit) {
    const Real above = largest - score(0);
    unit = above < Real(kKeptSpread<Element>) ? float(exp(above)) : 1.f;
  }
  for (std::int64_t first = 0; first < near.count; first += kThreads) {
    const std::int64_t i = first + threadIdx.x;
    const Real p = i < near.count ? exp(score(i) - largest) : Real(0);
    sum += p;
    weights[threadIdx.x] = weight<Element, Real, kRounded>(p, unit);
    __syncthreads();
    if (int(threadIdx.x) < dim)
      for (int j = 0; j < kThreads && first + j < near.count; ++j)
        sum_of_values += weights[j] * Real(float(row<Element>(value, r.batch, r.head, near.token(first + j))[threadIdx.x]));
    __syncthreads();
  }
  sum = block_reduce(sum, false);
  if (int(threadIdx.x) < dim) output[r.index * dim + threadIdx.x] = weight<Element, Real, kRounded>(sum_of_values / sum);
  if (threadIdx.x == 0) lse[r.index] = largest + log(sum);
}

struct BackwardInputs {
  kernels::ConstView query, key, value, grad_output;
  const float* grad_lse;                        // or nullptr
};

// delta = rowsum(grad_output * output) - grad_lse, [B, heads, N].
template <class Element, class Real>
__global__ void oracle_delta(Geometry g, int dim, BackwardInputs in, const Real* output, Real* delta) {
  const Row r(g);
  const Element* grad = row<Element>(in.grad_output, r.batch, r.head, r.token);
  Real sum = 0;
  if (int(threadIdx.x) < dim) sum = Real(float(grad[threadIdx.x])) * output[r.index * dim + threadIdx.x];
  sum = block_reduce(sum, false);
  if (threadIdx.x == 0) delta[r.index] = sum - (in.grad_lse ? Real(in.grad_lse[r.index]) : Real(0));
}

// Gradients [B, heads, N, dim], contiguous.
template <class Element, class Real, bool kRounded>
__global__ void oracle_grad_query(Geometry g, int dim, float scale, float unit, BackwardInputs in, const Real* lse, const Real* delta,
                                  Real* grad_query) {
  __shared__ Real weights[kThreads];
  const Row r(g);
  const Neighbours near(g, r.head, r.token);
  const Element* q = row<Element>(in.query, r.batch, r.head, r.token);
  const Element* grad = row<Element>(in.grad_output, r.batch, r.head, r.token);
  Real sum = 0;
  for (std::int64_t first = 0; first < near.count; first += kThreads) {
    if (first + threadIdx.x < near.count) {
      const std::int64_t t = near.token(first + threadIdx.x);
      const Real p = exp(Real(scale) * dot<Element, Real>(q, row<Element>(in.key, r.batch, r.head, t), dim) - lse[r.index]);
      const Real grad_weight = dot<Element, Real>(grad, row<Element>(in.value, r.batch, r.head, t), dim);
      weights[threadIdx.x] = weight<Element, Real, kRounded>(p * (grad_weight - delta[r.index]), unit);
    }
    __syncthreads();
    if (int(threadIdx.x) < dim)
      for (int j = 0; j < kThreads && first + j < near.count; ++j)
        sum += weights[j] * Real(float(row<Element>(in.key, r.batch, r.head, near.token(first + j))[threadIdx.x]));
    __syncthreads();
  }
  if (int(threadIdx.x) < dim) grad_query[r.index * dim + threadIdx.x] = weight<Element, Real, kRounded>(Real(scale) * sum);
}

template <class Element, class Real, bool kRounded>
__global__ void oracle_grad_key_value(Geometry g, int dim, float scale, float unit, BackwardInputs in, const Real* lse, const Real* delta,
                                      Real* grad_key, Real* grad_value) {
  __shared__ Real weights[kThreads], grads[kThreads];
  const Row r(g);
  const Neighbours near(g, r.head, r.token);
  const std::int64_t plane = r.index - r.token;
  const Element* k = row<Element>(in.key, r.batch, r.head, r.token);
  const Element* v = row<Element>(in.value, r.batch, r.head, r.token);
  Real key_sum = 0, value_sum = 0;
  for (std::int64_t first = 0; first < near.count; first += kThreads) {
    if (first + threadIdx.x < near.count) {
      const std::int64_t t = near.token(first + threadIdx.x);
      const Real p = exp(Real(scale) * dot<Element, Real>(k, row<Element>(in.query, r.batch, r.head, t), dim) - lse[plane + t]);
      const Real grad = p * (dot<Element, Real>(v, row<Element>(in.grad_output, r.batch, r.head, t), dim) - delta[plane + t]);
      weights[threadIdx.x] = weight<Element, Real, kRounded>(p, unit);
      grads[threadIdx.x] = weight<Element, Real, kRounded>(grad, unit);
    }
    __syncthreads();
    if (int(threadIdx.x) < dim)
      for (int j = 0; j < kThreads && first + j < near.count; ++j) {
        const std::int64_t t = near.token(first + j);
        key_sum += grads[j] * Real(float(row<Element>(in.query, r.batch, r.head, t)[threadIdx.x]));
        value_sum += weights[j] * Real(float(row<Element>(in.grad_output, r.batch, r.head, t)[threadIdx.x]));
      }
    __syncthreads();
  }
  if (int(threadIdx.x) >= dim) return;
  grad_key[r.index * dim + threadIdx.x] = weight<Element, Real, kRounded>(Real(scale) * key_sum);
  grad_value[r.index * dim + threadIdx.x] = weight<Element, Real, kRounded>(value_sum);
}

}  // namespace fovea::check
