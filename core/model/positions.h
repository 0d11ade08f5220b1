// Where a token is: learned grids and rotary embeddings, for whole images and for bands of token rows.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/torch.h"

namespace fovea {

// What a sequence [B, count(), C] holds: global tokens first, then whole rows of the token grid, row-major. A whole image has
// first_row 0; a band of it starts further down, with or without the global tokens.
struct TokenRows {
  std::int64_t global_tokens = 0;
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t count() const { return global_tokens + rows * columns; }
};

// Resizes learned positions [h * w, C] of a grid (h, w) to another: bicubic with anti-aliasing (cubic a = -0.5, half-pixel centres),
// computed in float32, as timm's resample_abs_pos_embed does; transformers resizes without anti-aliasing and differs slightly when the
// grid shrinks. The same grid is returned untouched.
torch::Tensor resize_positions(const torch::Tensor& positions, std::array<std::int64_t, 2> from, std::array<std::int64_t, 2> to);

// 2-D rotary embedding (Su et al. 2021; axial form of Heo et al. 2024). A head's D channels are D/2 complex numbers: channel 2p is the
// real, 2p+1 the imaginary part of number p. Number p of a token in grid row y, column x is multiplied with exp(i * angle), where
//     angle = y * base^(-p / (D/4))              for p < D/4,
//     angle = x * base^(-(p - D/4) / (D/4))      otherwise.
// y and x count tokens from the image's top left; global tokens are not rotated. Angles are computed in float64.
//
// Returns the factors, complex [count(), 1, D/2]: complex128 if dtype is float64, else complex64.
torch::Tensor rotary_factors(const TokenRows& tokens, std::int64_t head_dim, double base, torch::Dtype dtype, torch::Device device);

// x [B, N, heads, D] times factors, computed at least in float32, returned in x's dtype.
torch::Tensor rotate(const torch::Tensor& x, const torch::Tensor& factors);

}  // namespace fovea
