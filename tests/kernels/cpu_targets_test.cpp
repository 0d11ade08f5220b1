// Every instruction set that this machine has gives the same results, up to the order of summation, and so does every way of multiplying
// bfloat16, up to its roundings.
#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/attention_cpu.h"
#include "tests/kernels/bfloat16_ways.h"
#include "tests/kernels/guarded_buffer.h"

namespace fovea::kernels {
namespace {

using test::BFloat16;

struct Results {
  std::vector<float> output, lse, grad_query, grad_key, grad_value;
};

struct Geometry {
  std::int64_t height, width;
  int globals, window_height, window_width, head_dim;
};

class Problem {
 public:
  // magnitude: of the queries' numbers.
  explicit Problem(const Geometry& geometry, float magnitude = 1)
      : head_dim_(geometry.head_dim), shape_{.batch = 1, .grid_height = geometry.height, .grid_width = geometry.width, .heads = kHeads,
                                            .head_dim = geometry.head_dim, .global_tokens = geometry.globals,
                                            .window_height = geometry.window_height, .window_width = geometry.window_width,
                                            .dilation = dilation_} {
    for (std::vector<float>* tensor : {&query_, &key_, &value_, &grad_output_}) {
      tensor->resize(numbers());
      std::normal_distribution<float> normal;
      // Numbers that are bfloat16 as they are, so that both dtypes compute the same.
      const float size = tensor == &query_ ? magnitude : 1;
      for (float& number : *tensor) number = BFloat16::rounded(size * normal(generator_)).wide();
    }
  }

  template <class Element>
  Results run(DataType dtype) const {
    const auto serially = [](std::int64_t tasks, const std::function<void(std::int64_t)>& body) {
      for (std::int64_t task = 0; task < tasks; ++task) body(task);
    };
    const std::vector<Element> query = converted<Element>(query_), key = converted<Element>(key_), value = converted<Element>(value_),
                               grad_output = converted<Element>(grad_output_);
    std::vector<Element> output(numbers()), grad_query(numbers()), grad_key(numbers()), grad_value(numbers());
    std::vector<float> lse(static_cast<std::size_t>(shape_.tokens() * kHeads));
    const AttentionForward forward{.shape = shape_, .dtype = dtype, .scale = 0.2F, .query = input(query), .key = input(key),
                                   .value = input(value), .output = result(output), .lse = lse.data()};
    cpu::attention_forward(forward, serially);
    cpu::attention_backward({.shape = shape_, .dtype = dtype, .scale = 0.2F, .query = forward.query, .key = forward.key,
                             .value = forward.value, .output = input(output), .grad_output = input(grad_output), .lse = lse.data(),
                             .grad_lse = nullptr, .grad_query = result(grad_query), .grad_key = result(grad_key),
                             .grad_value = result(grad_value)}, serially);
    return {wide(output), lse, wide(grad_query), wide(grad_key), wide(grad_value)};
  }

  int head_dim() const { return head_dim_; }

 private:
  static constexpr int kHeads = 2;
  std::int64_t stride() const { return std::int64_t{kHeads} * head_dim_; }
  std::size_t numbers() const { return static_cast<std::size_t>(shape_.tokens() * stride()); }
  template <class Element>
  ConstView input(const std::vector<Element>& tensor) const { return {tensor.data(), shape_.tokens() * stride(), stride(), head_dim_}; }
  template <class Element>
  MutableView result(std::vector<Element>& tensor) const { return {tensor.data(), shape_.tokens() * stride(), stride(), head_dim_}; }
  template <class Element>
  static std::vector<Element> converted(const std::vector<float>& numbers) {
    std::vector<Element> elements(numbers.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) test::from_float(numbers[i], elements[i]);
    return elements;
  }
  template <class Element>
  static std::vector<float> wide(const std::vector<Element>& elements) {
    std::vector<float> numbers;
    for (const Element element : elements) numbers.push_back(test::to_float(element));
    return numbers;
  }

  int head_dim_;
  std::int32_t dilation_[kHeads] = {1, 2};
  AttentionShape shape_;
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

struct Bounds {
  double output, lse, gradients;
};

void expect_close(const Results& actual, const Results& expected, const Bounds& bounds) {
  EXPECT_LE(relative_error(actual.output, expected.output), bounds.output);
  EXPECT_LE(relative_error(actual.lse, expected.lse), bounds.lse);
  EXPECT_LE(relative_error(actual.grad_query, expected.grad_query), bounds.gradients);
  EXPECT_LE(relative_error(actual.grad_key, expected.grad_key), bounds.gradients);
  EXPECT_LE(relative_error(actual.grad_value, expected.grad_value), bounds.gradients);
}

constexpr Geometry kGeometry{.height = 19, .width = 22, .globals = 5, .window_height = 7, .window_width = 9, .head_dim = 40};

// Two results differ by the roundings of both: scaling, exponential, two sums, and a chain of head_dim of random sign. Gradients rebuild
// the weights from the lse, whose size, about 6, multiplies its error.
Bounds float_bounds(const Problem& problem) {
  const double bound = 2 * (4 + std::sqrt(double(problem.head_dim()))) * 0x1p-24;
  return {bound, bound, 8 * bound};
}

class Targets : public ::testing::Test {
 protected:
  ~Targets() override { hwy::SetSupportedTargetsForTest(0); }
};

TEST_F(Targets, Agree) {
  const Problem problem(kGeometry);
  const std::int64_t supported = hwy::SupportedTargets();
  const Results expected = problem.run<float>(DataType::kFloat32);
  int tested = 0;
  for (std::int64_t rest = HWY_TARGETS & (supported | HWY_STATIC_TARGET); rest != 0; rest &= rest - 1, ++tested) {
    hwy::SetSupportedTargetsForTest(rest & -rest);
    ASSERT_STREQ(cpu::instruction_set(), hwy::TargetName(rest & -rest));
    SCOPED_TRACE(cpu::instruction_set());
    expect_close(problem.run<float>(DataType::kFloat32), expected, float_bounds(problem));
  }
  std::printf("%d instruction sets agree\n", tested);
  EXPECT_GE(tested, 1);
}

// Against float32 on the same numbers. Weights, and in the backward pass their slopes and the output that they come from, are rounded to
// 8 bits once, and so is the result: relative errors of at most 2^-9 each, at random. The lse is float32 throughout.
TEST(BFloat16Products, Agree) {
  for (const Geometry& geometry : {kGeometry, Geometry{1, 300, 3, 1, 65, 64}, Geometry{300, 1, 0, 33, 1, 32},
                                   Geometry{40, 9, 64, 17, 5, 128}, Geometry{9, 70, 33, 3, 31, 96}, Geometry{5, 6, 2, 31, 31, 256}}) {
    const Problem problem(geometry);
    const Results expected = problem.run<float>(DataType::kFloat32);
    test::for_each_bfloat16_way([&] {
      expect_close(problem.run<BFloat16>(DataType::kBFloat16), expected,
                   {.output = 2 * 0x1p-9, .lse = float_bounds(problem).lse, .gradients = 3 * 0x1p-9});
    });
  }
}

// Logits so far apart that sums of weights leave float32's range unless they are shifted by the largest: see bfloat16/forward-inl.h.
TEST(BFloat16Products, ExtremeLogits) {
  for (const float magnitude : {30.0F, 300.0F}) {
    const Problem problem({.height = 21, .width = 18, .globals = 2, .window_height = 9, .window_width = 9, .head_dim = 32}, magnitude);
    const Results expected = problem.run<float>(DataType::kFloat32);
    test::for_each_bfloat16_way([&] {
      const Results actual = problem.run<BFloat16>(DataType::kBFloat16);
      EXPECT_LE(relative_error(actual.output, expected.output), 2 * 0x1p-9);
      EXPECT_LE(relative_error(actual.lse, expected.lse), float_bounds(problem).lse);
      for (const auto* gradient : {&actual.grad_query, &actual.grad_key, &actual.grad_value}) {
        for (const float number : *gradient) ASSERT_TRUE(std::isfinite(number));
      }
    });
  }
}

}  // namespace
}  // namespace fovea::kernels
