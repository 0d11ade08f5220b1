// Every instruction set that this machine has gives the same results, up to the order of summation.
#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/attention_cpu.h"

namespace fovea::kernels {
namespace {

struct Results {
  std::vector<float> output, lse, grad_query, grad_key, grad_value;
};

class Problem {
 public:
  Problem() {
    const auto floats = static_cast<std::size_t>(shape_.tokens() * kStride);
    for (std::vector<float>* tensor : {&query_, &key_, &value_, &grad_output_}) {
      tensor->resize(floats);
      std::normal_distribution<float> normal;
      for (float& number : *tensor) number = normal(generator_);
    }
  }

  Results run() {
    const auto serially = [](std::int64_t tasks, const std::function<void(std::int64_t)>& body) {
      for (std::int64_t task = 0; task < tasks; ++task) body(task);
    };
    const std::size_t floats = query_.size(), rows = static_cast<std::size_t>(shape_.tokens() * kHeads);
    Results results{std::vector<float>(floats), std::vector<float>(rows), std::vector<float>(floats), std::vector<float>(floats),
                    std::vector<float>(floats)};
    const AttentionForward forward{.shape = shape_, .dtype = DataType::kFloat32, .scale = 0.2F, .query = input(query_), .key = input(key_),
                                   .value = input(value_), .output = result(results.output), .lse = results.lse.data()};
    cpu::attention_forward(forward, serially);
    cpu::attention_backward({.shape = shape_, .dtype = DataType::kFloat32, .scale = 0.2F, .query = forward.query, .key = forward.key,
                             .value = forward.value, .output = input(results.output), .grad_output = input(grad_output_),
                             .lse = results.lse.data(), .grad_lse = nullptr, .grad_query = result(results.grad_query),
                             .grad_key = result(results.grad_key), .grad_value = result(results.grad_value)}, serially);
    return results;
  }

  static constexpr int kHeadDim = 40, kHeads = 2;

 private:
  static constexpr std::int64_t kStride = kHeads * kHeadDim;
  ConstView input(const std::vector<float>& tensor) const { return {tensor.data(), shape_.tokens() * kStride, kStride, kHeadDim}; }
  MutableView result(std::vector<float>& tensor) const { return {tensor.data(), shape_.tokens() * kStride, kStride, kHeadDim}; }

  std::int32_t dilation_[kHeads] = {1, 2};
  AttentionShape shape_{.batch = 1, .grid_height = 19, .grid_width = 22, .heads = kHeads, .head_dim = kHeadDim, .global_tokens = 5,
                        .window_height = 7, .window_width = 9, .dilation = dilation_};
  std::mt19937 generator_{3};
  std::vector<float> query_, key_, value_, grad_output_;
};

// |a - b| / |b| in the Euclidean norm; NaN if either holds one.
double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    norm += double{b[i]} * b[i];
  }
  return std::sqrt(difference / norm);
}

class Targets : public ::testing::Test {
 protected:
  ~Targets() override { hwy::SetSupportedTargetsForTest(0); }
};

TEST_F(Targets, Agree) {
  Problem problem;
  const std::int64_t supported = hwy::SupportedTargets();
  const Results expected = problem.run();
  // Two results differ by the roundings of both: scaling, exponential, two sums, and a chain of head_dim of random sign.
  const double bound = 2 * (4 + std::sqrt(double{Problem::kHeadDim})) * 0x1p-24;
  // Gradients rebuild the weights from the lse, whose size, about 6, multiplies its error.
  const double gradient_bound = 8 * bound;
  int tested = 0;
  for (std::int64_t rest = HWY_TARGETS & (supported | HWY_STATIC_TARGET); rest != 0; rest &= rest - 1, ++tested) {
    hwy::SetSupportedTargetsForTest(rest & -rest);
    ASSERT_STREQ(cpu::instruction_set(), hwy::TargetName(rest & -rest));
    SCOPED_TRACE(cpu::instruction_set());
    const Results actual = problem.run();
    EXPECT_LE(relative_error(actual.output, expected.output), bound);
    EXPECT_LE(relative_error(actual.lse, expected.lse), bound);
    EXPECT_LE(relative_error(actual.grad_query, expected.grad_query), gradient_bound);
    EXPECT_LE(relative_error(actual.grad_key, expected.grad_key), gradient_bound);
    EXPECT_LE(relative_error(actual.grad_value, expected.grad_value), gradient_bound);
  }
  std::printf("%d instruction sets agree\n", tested);
  EXPECT_GE(tested, 1);
}

}  // namespace
}  // namespace fovea::kernels
