#include "tests/attention/backend_fixture.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <cstdlib>

#include "core/base/torch_runtime.h"

namespace fovea::test {

double rounding_steps(const AttentionProblem& problem, at::ScalarType dtype, double largest_lse) {
  const auto depth = static_cast<double>(problem.head_dim), tokens = static_cast<double>(problem.tokens());
  if (dtype == at::kDouble) return 2 * (depth + tokens) * (1 + largest_lse);
  return dtype == at::kFloat ? 4 + std::sqrt(depth) : 2;
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

void EachBackend::TearDown() { force_attention_backend(""); }

std::vector<at::ScalarType> EachBackend::dtypes() const {
  if (backend() == "reference") return {at::kFloat, at::kDouble, at::kBFloat16};
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
    const AttentionResult result = local_global_attention(on_device.query, on_device.key, on_device.value, problem.pattern, problem.scale);
    ASSERT_EQ(last_attention_backend(), backend());
    const AttentionResult oracle = dense_masked(problem, mask, converted(inputs, at::kDouble, at::kCPU));
    const double largest_lse = max_magnitude(oracle.lse);
    const AttentionResult torch = dense_masked(problem, mask, inputs);
    ASSERT_EQ(result.output.scalar_type(), dtype);
    EXPECT_TRUE(as_accurate_as_torch(result.output, {.oracle = oracle.output, .torch = torch.output,
                                                     .rounding_steps = rounding_steps(problem, dtype, largest_lse)}));
    // The lse is float32 at least: torch's, in that dtype, is its yardstick.
    const at::ScalarType lse_dtype = dtype == at::kDouble ? at::kDouble : at::kFloat;
    const AttentionResult torch_wide = dense_masked(problem, mask, converted(inputs, lse_dtype, at::kCPU));
    ASSERT_EQ(result.lse.scalar_type(), lse_dtype);
    EXPECT_TRUE(as_accurate_as_torch(result.lse, {.oracle = oracle.lse, .torch = torch_wide.lse,
                                                  .rounding_steps = rounding_steps(problem, lse_dtype, largest_lse)}));
  }
}

}  // namespace fovea::test
