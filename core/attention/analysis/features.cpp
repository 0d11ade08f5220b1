#include "core/attention/analysis/features.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "core/base/error.h"

namespace fovea::analysis {
namespace {

constexpr double kMadToDeviation = 1.4826;   // of a normal distribution
constexpr double kSmallestNorm = 1e-12;

at::Tensor unit(const at::Tensor& features) {
  const auto wide = features.to(at::kFloat);
  return wide / at::linalg_vector_norm(wide, 2, {-1}, true).clamp_min(kSmallestNorm);
}

}  // namespace

at::Tensor cosine_similarity(const at::Tensor& features, std::int64_t token) {
  require(features.dim() == 2 && token >= 0 && token < features.size(0),
          "cosine_similarity: features must be [N, C], the token one of them");
  const auto units = unit(features);
  return at::mv(units, units[token]).clamp(-1, 1);
}

at::Tensor cosine_of_pairs(const at::Tensor& a, const at::Tensor& b) {
  require(a.sizes() == b.sizes(), "cosine_of_pairs: features must be alike");
  return (unit(a) * unit(b)).sum(-1).clamp(-1, 1);
}

PrincipalColours principal_colours(const at::Tensor& features) {
  require(features.dim() == 2 && features.size(1) >= 3, "principal_colours: features must be [N, C], C at least 3");
  // On the CPU: eigenvectors of the same matrix, whatever the device.
  const auto wide = features.cpu().to(at::kDouble);
  const auto centred = wide - wide.mean(0, true);
  const auto covariance = at::matmul(centred.t(), centred) / static_cast<double>(std::max<std::int64_t>(wide.size(0), 1));
  const auto [values, vectors] = at::linalg_eigh(covariance);   // rising
  auto directions = vectors.narrow(1, vectors.size(1) - 3, 3).flip({1}).t();
  const auto largest = directions.gather(1, directions.abs().argmax(1, true));
  directions = directions * at::where(largest < 0, -at::ones_like(largest), at::ones_like(largest));
  const auto projected = at::matmul(centred, directions.t());   // [N, 3]
  const auto low = at::quantile(projected, 0.01, 0, true), high = at::quantile(projected, 0.99, 0, true);
  const auto scaled = ((projected - low) / (high - low).clamp_min(kSmallestNorm)).clamp(0, 1) * 255;
  const auto shares = values.narrow(0, values.size(0) - 3, 3).flip({0}) / values.sum().clamp_min(kSmallestNorm);
  return {scaled.round().to(at::kByte), directions.to(at::kFloat), shares};
}

TokenNorms token_norms(const at::Tensor& features, double factor) {
  const auto norm = at::linalg_vector_norm(features.to(at::kFloat), 2, {-1});
  const auto centre = norm.median();
  const double spread = (norm - centre).abs().median().item<double>();
  const double threshold = centre.item<double>() + factor * kMadToDeviation * spread;
  return {norm, norm > threshold, threshold};
}

}  // namespace fovea::analysis
