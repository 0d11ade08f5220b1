#include "core/attention/analysis/kernel_scores.h"

#include <ATen/core/Tensor.h>

#include <algorithm>

namespace fovea::analysis {

kernels::DataType data_type(at::ScalarType dtype) {
  switch (dtype) {
    case at::kBFloat16: return kernels::DataType::kBFloat16;
    case at::kHalf: return kernels::DataType::kFloat16;
    default: return kernels::DataType::kFloat32;
  }
}

namespace {

// A larger window sees the same keys and would only overflow the kernels' 32-bit arithmetic.
int effective_window(std::int64_t window, std::int64_t side) { return static_cast<int>(std::min(window, 2 * side + 1)); }

}  // namespace

KernelScores::KernelScores(const AttentionLayer& layer) {
  for (std::int64_t head = 0; head < layer.heads(); ++head) dilations.push_back(static_cast<std::int32_t>(layer.dilation(head)));
  scores.shape = {.batch = 1, .grid_height = layer.height(), .grid_width = layer.width(), .heads = static_cast<int>(layer.heads()),
                  .head_dim = static_cast<int>(layer.head_dim()), .global_tokens = static_cast<int>(layer.global_tokens()),
                  .window_height = effective_window(layer.pattern.window[0], layer.height()),
                  .window_width = effective_window(layer.pattern.window[1], layer.width()), .dilation = dilations.data()};
  scores.dtype = data_type(layer.query.scalar_type());
  scores.scale = static_cast<float>(layer.softmax_scale());
  scores.query = {layer.query.const_data_ptr(), 0, layer.query.stride(0), layer.query.stride(1)};
  scores.key = {layer.key.const_data_ptr(), 0, layer.key.stride(0), layer.key.stride(1)};
}

}  // namespace fovea::analysis
