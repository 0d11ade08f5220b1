// What a block does around its matrix products and attention, without gradients and in memory that is given: each step one pass, where
// the differentiable forms (core/model/layers.h, positions.h) take several. float32, bfloat16 and float16 through the fused kernels
// (kernels/token_steps.h); whatever those do not take, float64 above all, through torch.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/torch.h"

namespace fovea {

// Cosine and sine of the angles of rotary_factors() (core/model/positions.h) for the rows and for the columns of a grid:
// [places, D / 4, 2], computed in float64, kept in float32, or float64 for a float64 model.
struct RotaryTables {
  torch::Tensor rows, columns;
};
struct RotaryTableOptions {
  std::array<std::int64_t, 2> grid{0, 0};   // rows, columns
  std::int64_t head_dim = 0;
  double base = 0;
  torch::Dtype dtype = torch::kFloat32;     // of the model
  torch::Device device = torch::kCPU;
};
RotaryTables rotary_tables(const RotaryTableOptions& options);

// Rotates queries and keys of packed [n, 3, heads, D], contiguous: the grid's tokens from first_token on, row-major.
void rotate_packed(const torch::Tensor& packed, std::int64_t first_token, const RotaryTables& tables);

// stream += scale * branch. stream, branch: [n, C], contiguous; scale [C] or undefined for 1.
struct Residual {
  torch::Tensor stream, branch, scale;
};
void add_residual(const Residual& residual);
// The same, then normalised [n, C] = LayerNorm(stream). Without a branch the stream stays as it is.
struct Normalisation {
  torch::Tensor weight, bias;   // [C]
  double eps = 0;
};
void add_residual_and_normalise(const Residual& residual, const Normalisation& norm, const torch::Tensor& normalised);

// Attention of global queries over parts of the keys, each normalised for itself; parts merge exactly by their lse. All float32,
// float64 for float64 keys.
struct GlobalParts {
  torch::Tensor lse;      // [parts, heads, G]
  torch::Tensor values;   // [parts, heads, G, D]
};
// query: [heads, G, D] in that dtype, contiguous, times the scale of the scores. key, value: [n, heads, D], D contiguous.
GlobalParts attend_from_globals(const torch::Tensor& query, const torch::Tensor& key, const torch::Tensor& value);

}  // namespace fovea
