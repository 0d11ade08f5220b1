// Steps of a transformer block that are no matrix products, each in one pass over the tokens' memory: what the few fused operations are
// given. No torch, no CUDA types: plain pointers, sizes and strides. Elements of 16 bits are computed with in float32 and rounded once.
#pragma once

#include <cstdint>

#include "kernels/attention_params.h"

namespace fovea::kernels {

// Rotary embedding (Su et al. 2021; axial form of Heo et al. 2024), in place, of the queries and keys of a packed projection
// [count, 3, heads, head_dim]: queries, keys, values of one token side by side, tokens without gaps.
struct PackedRotation {
  DataType dtype = DataType::kFloat32;
  void* packed = nullptr;                       // 16-byte aligned
  std::int64_t first_token = 0, count = 0;      // of the grid, row-major
  std::int64_t columns = 0;                     // of the grid
  int heads = 0, head_dim = 0;
  // Cosine and sine of the angle of each complex number: [grid rows][head_dim / 4][2] for the first half of a head's numbers,
  // [columns][head_dim / 4][2] for the second. 16-byte aligned.
  const float* row_factors = nullptr;
  const float* column_factors = nullptr;
};

// stream += scale * branch, then normalised = LayerNorm(stream) * weight + bias, of `count` tokens of `width` channels without gaps.
struct ResidualNorm {
  DataType dtype = DataType::kFloat32;
  std::int64_t count = 0;
  int width = 0;
  float epsilon = 0;
  const void* branch = nullptr;                 // nullptr: stream stays as it is
  const void* scale = nullptr;                  // [width]; nullptr: 1
  const void* weight = nullptr;                 // [width] each
  const void* bias = nullptr;
  void* stream = nullptr;
  void* normalised = nullptr;                   // nullptr: only the sum is wanted
};

// Attention of the global tokens' queries over some of the keys, in slices of kGlobalSliceTokens: each gives its softmax-weighted values
// and its log-sum-exp, so that slices can be merged exactly (Milakov and Gimelshein 2018).
constexpr int kGlobalSliceTokens = 1024;
struct GlobalSlices {
  DataType dtype = DataType::kFloat32;          // of key and value
  int heads = 0, head_dim = 0, global_tokens = 0;
  const float* query = nullptr;                 // [heads][global_tokens][head_dim], times the scale of the scores
  ConstView key, value;                         // of the first token; batch_stride is not used
  std::int64_t count = 0;                       // tokens
  float* lse = nullptr;                         // [slices][heads][global_tokens], natural logarithm
  float* values = nullptr;                      // [slices][heads][global_tokens][head_dim]
  std::int64_t slices() const { return (count + kGlobalSliceTokens - 1) / kGlobalSliceTokens; }
};

}  // namespace fovea::kernels
