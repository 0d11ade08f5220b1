#include "tests/attention/backend_fixture.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <stdexcept>

#include "core/attention/argument_checks.h"
#include "core/attention/backend_table.h"
#include "core/base/torch_runtime.h"

namespace fovea::test {

namespace {

double root_mean_square(const at::Tensor& tensor) {
  return tensor.numel() == 0 ? 0.0 : tensor.detach().to(at::kDouble).square().mean().sqrt().item<double>();
}

const AttentionBackend& row_of(const std::string& name) {
  for (const AttentionBackend& backend : attention_backend_table()) {
    if (name == backend.name) return backend;
  }
  throw std::invalid_argument("no back end " + name);
}

AttentionCall call_of(const AttentionProblem& problem, const AttentionInputs& inputs) {
  return make_attention_call(inputs.query, inputs.key, inputs.value, problem.pattern, problem.scale);
}

}  // namespace

NumberSizes number_sizes(const AttentionProblem& problem, const AttentionInputs& inputs, const at::Tensor& lse) {
  const double depth_root = std::sqrt(static_cast<double>(problem.head_dim));
  const double scale = std::abs(problem.scale.value_or(1 / depth_root));
  return {.largest_lse = max_magnitude(lse),
          .logit_spread = scale * root_mean_square(inputs.query) * root_mean_square(inputs.key) * depth_root};
}

double rounding_steps(const AttentionProblem& problem, at::ScalarType dtype, const NumberSizes& sizes, bool truncating_sums) {
  const auto depth = static_cast<double>(problem.head_dim), tokens = static_cast<double>(problem.tokens());
  if (dtype == at::kDouble) return 2 * (depth + tokens) * (1 + sizes.largest_lse);
  if (dtype != at::kFloat) return 2;
  const double spread = std::max(1.0, sizes.logit_spread);
  const double rounded = 4 + std::sqrt(depth) * spread;
  const double cut = 2 * 3.0 / 8 * (depth * spread + tokens);
  return truncating_sums ? rounded + cut : rounded;
}

void EachBackend::SetUp() {
  for (const BackendStatus& status : attention_backends()) {
    if (status.name != backend() || status.unavailable_reason.empty()) continue;
    const char* required = std::getenv("FOVEA_REQUIRE_GPU");
    if (runs_on_gpu() && required && std::string(required) == "1") FAIL() << "FOVEA_REQUIRE_GPU=1, and " << status.unavailable_reason;
    GTEST_SKIP() << "NOT TESTED: back end " << backend() << ": " << status.unavailable_reason;
  }
  force_attention_backend(backend());
  // Small tensors on many threads mostly wait for each other, the more so where other programs run; Properties.ThreadsChangeNothing
  // covers what threads could change.
  at::set_num_threads(1);
}

void EachBackend::TearDown() {
  force_attention_backend("");
  if (taken_ == 0 && !declined_because_.empty() && !HasFailure()) {
    GTEST_SKIP() << "NOT TESTED: back end " << backend() << ": " << declined_because_;
  }
}

bool EachBackend::taken(const std::string& reason) {
  if (reason.empty()) ++taken_; else declined_because_ = reason;
  return reason.empty();
}

bool EachBackend::accepts(const AttentionProblem& problem, const AttentionInputs& on_device) {
  return taken(row_of(backend()).forward_unsupported(call_of(problem, on_device)));
}

bool EachBackend::accepts_gradients(const AttentionProblem& problem, const AttentionInputs& on_device) {
  const AttentionCall call = call_of(problem, on_device);
  const std::string forward_reason = row_of(backend()).forward_unsupported(call);
  return taken(forward_reason.empty() ? row_of(backend()).backward_unsupported(call) : forward_reason);
}

std::vector<at::ScalarType> EachBackend::dtypes() const {
  if (backend() == "reference") return {at::kFloat, at::kDouble, at::kBFloat16};
  if (backend() == "sm90") return {at::kBFloat16, at::kHalf};
  return {at::kFloat, at::kBFloat16, at::kHalf};
}

std::int64_t EachBackend::allowed_head_dim(std::int64_t wanted) const {
  if (!runs_on_gpu()) return wanted;
  return wanted <= 32 ? 32 : wanted <= 64 ? 64 : 128;
}

void EachBackend::check(const AttentionProblem& problem, std::uint64_t seed) {
  check(problem, random_inputs(problem, seed, at::kFloat, at::kCPU));
}

void EachBackend::check(const AttentionProblem& problem, const AttentionInputs& float32_inputs) {
  const at::Tensor mask = definition_mask(problem);
  for (const at::ScalarType dtype : dtypes()) {
    SCOPED_TRACE(describe(problem) + ", " + c10::toString(dtype));
    const AttentionInputs inputs = converted(float32_inputs, dtype, at::kCPU);
    const AttentionInputs on_device = converted(inputs, dtype, device());
    if (!accepts(problem, on_device)) continue;
    const AttentionResult result = local_global_attention(on_device.query, on_device.key, on_device.value, problem.pattern, problem.scale);
    ASSERT_EQ(last_attention_backend(), backend());
    const AttentionResult oracle = dense_masked(problem, mask, converted(inputs, at::kDouble, at::kCPU));
    const NumberSizes sizes = number_sizes(problem, inputs, oracle.lse);
    const AttentionResult torch = dense_masked(problem, mask, inputs);
    ASSERT_EQ(result.output.scalar_type(), dtype);
    EXPECT_TRUE(as_accurate_as_torch(result.output, {.oracle = oracle.output, .torch = torch.output,
                                                     .rounding_steps = rounding_steps(problem, dtype, sizes, runs_on_gpu())}));
    // The lse is float32 at least: torch's, in that dtype, is its yardstick.
    const at::ScalarType lse_dtype = dtype == at::kDouble ? at::kDouble : at::kFloat;
    const AttentionResult torch_wide = dense_masked(problem, mask, converted(inputs, lse_dtype, at::kCPU));
    ASSERT_EQ(result.lse.scalar_type(), lse_dtype);
    EXPECT_TRUE(as_accurate_as_torch(result.lse, {.oracle = oracle.lse, .torch = torch_wide.lse,
                                                  .rounding_steps = rounding_steps(problem, lse_dtype, sizes, runs_on_gpu())}));
  }
}

}  // namespace fovea::test
