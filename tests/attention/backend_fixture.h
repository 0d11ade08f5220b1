// A test that runs once for each back end: forces it, knows its device and what it takes, skips loudly where it cannot run.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/attention_oracle.h"
#include "tests/support/comparator.h"

namespace fovea::test {

// What the size of roundings depends on besides the problem's shape.
struct NumberSizes {
  double largest_lse = 0;    // largest |lse|
  double logit_spread = 0;   // standard deviation of the scaled products of random queries and keys
};

// lse: the oracle's. Spread: |scale| rms(query) rms(key) sqrt(D), for inputs without a mean.
NumberSizes number_sizes(const AttentionProblem& problem, const AttentionInputs& inputs, const at::Tensor& lse);

// Roundings of a result in its own dtype, as as_accurate_as_torch takes them. An error of a logit is a relative error of its weight.
//   float64   torch is the oracle itself: only the worst case of two sums of products bounds the difference of two orders of summation.
//   float32   scaling, exponential, sum and division, and a logit: a chain of D roundings of random sign, each relative to the running
//             sum, so that sqrt(D) of them are of the logit's own size.
//   16 bits   accumulated in float32: weights are rounded once, and the result once, at the end.
// truncating_sums: sums by tensor cores, which cut instead of rounding, by up to two units a step of eight terms and always towards
// zero; float32 takes three such steps (one each for the products of the TF32 halves).
double rounding_steps(const AttentionProblem& problem, at::ScalarType dtype, const NumberSizes& sizes, bool truncating_sums);

class EachBackend : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override;      // forces the back end; skips if unavailable, or fails if it needs a GPU and FOVEA_REQUIRE_GPU=1
  void TearDown() override;   // back to automatic choice; skips if every problem was declined

  std::string backend() const { return GetParam(); }
  bool runs_on_gpu() const { return backend() == "sm90" || backend() == "sm80"; }
  at::Device device() const { return runs_on_gpu() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU); }
  // What to test in; the first is the widest that the back end takes.
  std::vector<at::ScalarType> dtypes() const;
  // Whether the back end takes the problem. A problem that it declines counts as skipped: a test in which it took none ends as skipped,
  // with the last reason.
  bool accepts(const AttentionProblem& problem, const AttentionInputs& on_device);
  bool accepts_gradients(const AttentionProblem& problem, const AttentionInputs& on_device);
  // The nearest head_dim that the back end takes.
  std::int64_t allowed_head_dim(std::int64_t wanted) const;

  // Runs the problem on random inputs in every dtype and judges output and lse against oracle and torch.
  void check(const AttentionProblem& problem, std::uint64_t seed);
  void check(const AttentionProblem& problem, const AttentionInputs& float32_inputs);

 private:
  bool taken(const std::string& reason);

  int taken_ = 0;
  std::string declined_because_;
};

// Forward needs no gradient, so a missing backward never skips a test.
#define FOVEA_FOR_EACH_BACKEND(suite)                                                                           \
  INSTANTIATE_TEST_SUITE_P(Attention, suite, ::testing::Values("reference", "cpu", "sm80", "sm90"), \
                           [](const auto& backend) { return std::string(backend.param); })

}  // namespace fovea::test
