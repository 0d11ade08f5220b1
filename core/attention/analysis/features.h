// Numbers and pictures of token features: similarity, principal components, outliers.
#pragma once

#include <ATen/core/Tensor.h>

namespace fovea::analysis {

// Cosine of every token's features to those of one: features [N, C] -> [N] float32 in -1 ... 1. Caveat: features share a large common
// part in many models; then all cosines are high, and their differences matter.
at::Tensor cosine_similarity(const at::Tensor& features, std::int64_t token);

// Cosine of corresponding tokens of two runs: [N, C] twice -> [N].
at::Tensor cosine_of_pairs(const at::Tensor& a, const at::Tensor& b);

// Principal components as colours (Oquab et al. 2023, figure 1): features [N, C] are centred and projected on the three directions of
// largest variance (float64); each projection is stretched from its 1st to its 99th percentile to 0 ... 255. Sign convention: the largest
// coordinate of a direction is positive, so that the same features give the same colours. Colours of two images are not comparable.
struct PrincipalColours {
  at::Tensor rgb;                // [N, 3] uint8
  at::Tensor directions;         // [3, C] float32, orthonormal
  at::Tensor explained;          // [3] float64: share of the variance
};
PrincipalColours principal_colours(const at::Tensor& features);

// Norm of each token's features and the tokens whose norm is an outlier: large backbones hide global information in a few background
// tokens (Darcet et al. 2024, "Vision transformers need registers"). They cut at a fixed norm of one model; here the cut is
// median + factor * 1.4826 * median absolute deviation, a heuristic that fits any model. features [N, C], before the final LayerNorm.
struct TokenNorms {
  at::Tensor norm;               // [N] float32
  at::Tensor outlier;            // [N] bool
  double threshold = 0;
};
TokenNorms token_norms(const at::Tensor& features, double factor = 6.0);

}  // namespace fovea::analysis
