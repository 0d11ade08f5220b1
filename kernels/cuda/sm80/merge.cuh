// Partial results of the global tokens, one from each part of the sequence, put together in a fixed order: the same bits every run.
#pragma once

#include "kernels/cuda/sm80/pass.cuh"

namespace fovea::kernels::sm80 {

// One thread block a (batch, head) and global token, one thread an element.
struct MergeWork {
  int plane, token;
  Work where;
  __device__ explicit MergeWork(const Layout& layout) {
    plane = int(blockIdx.x) / layout.global_tokens;
    token = int(blockIdx.x) % layout.global_tokens;
    where.batch = plane / layout.heads;
    where.head = plane % layout.heads;
  }
};

template <class Element>
__device__ void store_one(Element* row, int column, float value) {
  row[column] = Element(value);
}

// Partials: weighted sum of values, maximum in log2 units, sum.
template <class Element, int kDim>
__global__ void __launch_bounds__(kDim) merge_outputs(const __grid_constant__ Arguments arguments) {
  const Layout& layout = arguments.layout;
  const MergeWork work(layout);
  constexpr int kRow = kDim + 2;
  const int splits = arguments.query_splits;
  const float* rows = partial_rows(arguments.query_partials, layout, work.where, splits, 0, kRow) + work.token * kRow;
  const std::int64_t step = std::int64_t(layout.global_tokens) * kRow;
  float maximum = -INFINITY;
#pragma unroll 8
  for (int i = 0; i < splits; ++i) maximum = fmaxf(maximum, rows[i * step + kDim]);
  float sum = 0.f, output = 0.f;
#pragma unroll 8
  for (int i = 0; i < splits; ++i) {
    const float factor = exp2_fast(rows[i * step + kDim] - maximum);
    sum = fmaf(factor, rows[i * step + kDim + 1], sum);
    output = fmaf(factor, rows[i * step + threadIdx.x], output);
  }
  store_one(result_row<Element>(arguments.result, work.where, work.token), threadIdx.x, output / sum);
  if (threadIdx.x == 0) arguments.lse_result[row_index(layout, work.where) + work.token] = kLn2 * (maximum + log2f(sum));
}

__device__ inline float sum_of_parts(const float* first, std::int64_t step, int parts) {
  float sum = 0.f;
#pragma unroll 8
  for (int i = 0; i < parts; ++i) sum += first[i * step];
  return sum;
}

// Gradients of the global tokens' query, key and value: three groups of kDim threads.
template <class Element, int kDim>
__global__ void __launch_bounds__(3 * kDim) merge_gradients(const __grid_constant__ Arguments arguments) {
  const Layout& layout = arguments.layout;
  const MergeWork work(layout);
  const int column = threadIdx.x % kDim, which = threadIdx.x / kDim;
  const int row_floats = which == 0 ? kDim : 2 * kDim;
  float* partials = which == 0 ? arguments.query_partials : arguments.key_partials;
  const int splits = which == 0 ? arguments.query_splits : arguments.key_splits;
  const float* first = partial_rows(partials, layout, work.where, splits, 0, row_floats) + work.token * row_floats +
                       (which == 2 ? kDim : 0) + column;
  const float sum = sum_of_parts(first, std::int64_t(layout.global_tokens) * row_floats, splits);
  const MutableView& view = which == 0 ? arguments.result : which == 1 ? arguments.grad_key : arguments.grad_value;
  store_one(result_row<Element>(view, work.where, work.token), column, which == 2 ? sum : sum * arguments.scale);
}

}  // namespace fovea::kernels::sm80
