// From a layer to the plain structs that kernels take.
#pragma once

#include <cstdint>
#include <vector>

#include "core/attention/analysis/attention_layer.h"
#include "kernels/attention_products.h"

namespace fovea::analysis {

// `scores` points into `dilations` and into the layer's tensors: both must outlive it.
struct KernelScores {
  std::vector<std::int32_t> dilations;
  kernels::AttentionScores scores;
  explicit KernelScores(const AttentionLayer& layer);
  KernelScores(const KernelScores&) = delete;
  KernelScores& operator=(const KernelScores&) = delete;
};

// float32, bfloat16 or float16.
kernels::DataType data_type(at::ScalarType dtype);

inline kernels::TokenRect token_rect(const GridRect& rect) { return {rect.y, rect.x, rect.height, rect.width}; }

}  // namespace fovea::analysis
