#include "tests/support/comparator.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace fovea::test {

double max_error(const at::Tensor& actual, const at::Tensor& expected) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (actual.sizes() != expected.sizes()) return kInfinity;
  if (actual.numel() == 0) return 0.0;
  const at::Tensor a = actual.detach().to(at::kCPU, at::kDouble), b = expected.detach().to(at::kCPU, at::kDouble);
  // Equal infinities differ by NaN: count them as no error. Every other NaN must end as an infinite error.
  const at::Tensor difference = at::where(a == b, at::zeros_like(a), (a - b).abs());
  const double largest = difference.max().item<double>();   // max propagates NaN
  return std::isnan(largest) ? kInfinity : largest;
}

double max_magnitude(const at::Tensor& expected) {
  return expected.numel() == 0 ? 0.0 : expected.detach().to(at::kCPU, at::kDouble).abs().max().item<double>();
}

double unit_roundoff(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble: return std::numeric_limits<double>::epsilon() / 2;
    case at::kFloat: return std::numeric_limits<float>::epsilon() / 2;
    case at::kHalf: return 0x1p-11;
    case at::kBFloat16: return 0x1p-8;
    default: throw std::invalid_argument("unit_roundoff: not a floating-point dtype");
  }
}

::testing::AssertionResult as_accurate_as_torch(const at::Tensor& actual, const Judgement& judgement) {
  const double error = max_error(actual, judgement.oracle), torch_error = max_error(judgement.torch, judgement.oracle);
  const double rounding = judgement.rounding_steps * unit_roundoff(judgement.torch.scalar_type()) * max_magnitude(judgement.oracle);
  const double bound = 2 * torch_error + rounding;
  // Torch's own failure is no licence: an infinite bound accepts nothing.
  if (std::isfinite(bound) && error <= bound) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "error " << error << " against the oracle, at most " << bound << " expected (torch's own "
                                       << torch_error << ", magnitude " << max_magnitude(judgement.oracle) << ")";
}

::testing::AssertionResult identical(const at::Tensor& actual, const at::Tensor& expected) {
  if (actual.sizes() != expected.sizes() || actual.scalar_type() != expected.scalar_type()) {
    return ::testing::AssertionFailure() << "shapes or dtypes differ";
  }
  const auto different = (actual != expected).sum().item<std::int64_t>();
  if (different == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << different << " of " << actual.numel() << " numbers differ, by up to "
                                       << max_error(actual, expected);
}

}  // namespace fovea::test
