#include "core/model/positions.h"

namespace fovea {
namespace {

// Angles of consecutive places along one axis: [places, D/4] float64.
torch::Tensor axis_angles(std::int64_t first, std::int64_t places, std::int64_t frequencies, double base, torch::Device device) {
  const auto options = torch::TensorOptions(torch::kFloat64).device(device);
  const auto place = torch::arange(first, first + places, options);
  const auto frequency = torch::pow(base, torch::arange(frequencies, options) / -static_cast<double>(frequencies));
  return torch::outer(place, frequency);
}

}  // namespace

torch::Tensor resize_positions(const torch::Tensor& positions, std::array<std::int64_t, 2> from, std::array<std::int64_t, 2> to) {
  if (from == to) return positions;
  const auto width = positions.size(1);
  const auto image = positions.to(torch::kFloat32).reshape({1, from[0], from[1], width}).permute({0, 3, 1, 2});
  const auto resized = at::_upsample_bicubic2d_aa(image, {to[0], to[1]}, /*align_corners=*/false);
  return resized.permute({0, 2, 3, 1}).reshape({to[0] * to[1], width}).to(positions.scalar_type());
}

torch::Tensor rotary_factors(const TokenRows& tokens, std::int64_t head_dim, double base, torch::Dtype dtype, torch::Device device) {
  const std::int64_t frequencies = head_dim / 4;
  const auto by_row = axis_angles(tokens.first_row, tokens.rows, frequencies, base, device).unsqueeze(1);
  const auto by_column = axis_angles(0, tokens.columns, frequencies, base, device).unsqueeze(0);
  const auto unit = [&](const torch::Tensor& angle) {   // sine and cosine of rows + columns angles only, then spread over the grid
    return torch::polar(torch::ones_like(angle), angle).expand({tokens.rows, tokens.columns, frequencies});
  };
  const auto grid = torch::cat({unit(by_row), unit(by_column)}, -1).reshape({tokens.rows * tokens.columns, 1, 2 * frequencies});
  const auto still = torch::ones({tokens.global_tokens, 1, 2 * frequencies}, grid.options());
  return torch::cat({still, grid}).to(dtype == torch::kFloat64 ? torch::kComplexDouble : torch::kComplexFloat);
}

torch::Tensor rotate(const torch::Tensor& x, const torch::Tensor& factors) {
  const auto wide = x.scalar_type() == torch::kFloat64 ? x : x.to(torch::kFloat32);
  const auto numbers = torch::view_as_complex(wide.unflatten(-1, {-1, 2}));
  return torch::view_as_real(numbers * factors).flatten(-2).to(x.scalar_type());
}

}  // namespace fovea
