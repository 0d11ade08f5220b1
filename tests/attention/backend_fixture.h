// A test that runs once for each back end: forces it, knows its device and what it takes, skips loudly where it cannot run.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/attention_oracle.h"
#include "tests/support/comparator.h"

namespace fovea::test {

// Roundings of a result in its own dtype. Kernels accumulate in float32, so that 16-bit results are rounded once, at the end, after
// weights that were rounded once. float32 results pass through scaling, exponential, sum and weighted sum, and through a chain of D
// roundings of random sign. In float64 torch is the oracle itself, and only the worst case of two sums of products bounds their
// difference; an error of a score relative to its size is an error of its weight relative to 1, hence the factor of the largest lse.
double rounding_steps(const AttentionProblem& problem, at::ScalarType dtype, double largest_lse);

class EachBackend : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override;      // forces the back end; skips if unavailable, or fails if it needs a GPU and FOVEA_REQUIRE_GPU=1
  void TearDown() override;   // back to automatic choice

  std::string backend() const { return GetParam(); }
  bool runs_on_gpu() const { return backend() == "sm90" || backend() == "sm80"; }
  at::Device device() const { return runs_on_gpu() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU); }
  // dtypes to test in.
  std::vector<at::ScalarType> dtypes() const;
  // The nearest head_dim that the back end takes.
  std::int64_t allowed_head_dim(std::int64_t wanted) const;

  // Runs the problem on random inputs in every dtype and judges output and lse against oracle and torch.
  void check(const AttentionProblem& problem, std::uint64_t seed);
  void check(const AttentionProblem& problem, const AttentionInputs& float32_inputs);
};

// Forward needs no gradient, so a missing backward never skips a test.
#define FOVEA_FOR_EACH_BACKEND(suite)                                                                           \
  INSTANTIATE_TEST_SUITE_P(Attention, suite, ::testing::Values("reference", "cpu", "sm80", "sm90"), \
                           [](const auto& backend) { return std::string(backend.param); })

}  // namespace fovea::test
