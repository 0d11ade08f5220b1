// The attention matrix written out, in float64: what every sparse answer is held against.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "core/attention/analysis/attention_layer.h"
#include "core/attention/analysis/global_rows.h"

namespace fovea::analysis::test {

constexpr double kRelativeBound = 1e-5;   // the project's bar for float32: every sparse quantity against dense float64

struct OracleCase {
  std::int64_t height = 0, width = 0, globals = 0, heads = 1, head_dim = 32;
  std::array<std::int64_t, 2> window{5, 5};
  std::vector<std::int64_t> dilation{1};
  bool dense = false;
  std::string name() const;
};

// Grids from one token to 24 x 24, windows wider than the grid, dilations 1 to 3 and mixed, 0, 1 and 8 globals, 1 to 6 heads.
std::vector<OracleCase> oracle_cases();

AttentionLayer random_layer(const OracleCase& shape, std::int64_t seed, at::ScalarType dtype = at::kFloat);

// [heads, N, N] float64, straight from the definition of the operator (DESIGN section 2), one query and key at a time for the mask.
at::Tensor dense_attention_matrix(const AttentionLayer& layer);

// [heads, N, N] -> [N, N]: heads fused, rows scaled to sum to 1 if asked for.
at::Tensor dense_fused(const at::Tensor& matrix, const HeadChoice& heads, RowSums sums);

// A token map as a vector [N] float64, globals first.
at::Tensor as_vector(const TokenMap& map);

// Largest |a - b| / |b| where b is not zero; infinity where b is zero and a is not, or where a is not a number.
double relative_error(const at::Tensor& value, const at::Tensor& expected);

// Random values for the tokens of rect and all globals.
TokenMap random_map(const AttentionLayer& layer, const GridRect& rect);

std::vector<HeadChoice> all_choices(const AttentionLayer& layer);

}  // namespace fovea::analysis::test
