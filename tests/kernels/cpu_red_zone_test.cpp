// The CPU kernels write every number of their results and nothing else, and read nothing that they should not.
#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "kernels/attention_cpu.h"
#include "tests/kernels/bfloat16_ways.h"
#include "tests/kernels/guarded_buffer.h"

namespace fovea::kernels {
namespace {

using test::BFloat16;
using test::GuardedBuffer;

void run_serially(std::int64_t tasks, const std::function<void(std::int64_t)>& body) {
  for (std::int64_t task = 0; task < tasks; ++task) body(task);
}

struct Case {
  std::int64_t height, width;
  int globals, window, head_dim;
  std::int32_t dilation;
  std::int64_t gap;   // unused numbers between two tokens of every tensor
};

class RedZones : public ::testing::TestWithParam<Case> {
 protected:
  RedZones() {
    const Case& given = GetParam();
    shape_ = {.batch = 2, .grid_height = given.height, .grid_width = given.width, .heads = kHeads, .head_dim = given.head_dim,
              .global_tokens = given.globals, .window_height = given.window, .window_width = given.window, .dilation = dilation_};
    dilation_[0] = 1;
    dilation_[1] = given.dilation;
    token_stride_ = std::int64_t{kHeads} * given.head_dim + given.gap;
    batch_stride_ = shape_.tokens() * token_stride_;
  }

  std::size_t numbers() const { return static_cast<std::size_t>(shape_.batch * batch_stride_); }
  std::size_t rows() const { return static_cast<std::size_t>(shape_.batch * kHeads * shape_.tokens()); }

  // Gaps stay NaN: a result that a gap got into is NaN.
  template <class Element>
  GuardedBuffer<Element> random() {
    std::normal_distribution<float> normal;
    GuardedBuffer<Element> buffer(numbers());
    for (std::size_t i = 0; i < buffer.size(); ++i) {
      const bool in_gap = static_cast<std::int64_t>(i) % token_stride_ >= std::int64_t{kHeads} * shape_.head_dim;
      if (!in_gap) test::from_float(normal(generator_), buffer.data()[i]);
    }
    return buffer;
  }
  template <class Pointer>
  View<Pointer> view(Pointer data) const { return {data, batch_stride_, token_stride_, shape_.head_dim}; }
  template <class Element>
  ConstView input(const GuardedBuffer<Element>& buffer) const { return view<const void*>(buffer.data()); }
  template <class Element>
  MutableView result(GuardedBuffer<Element>& buffer) const { return view<void*>(buffer.data()); }

  // All numbers written, gaps and guards untouched.
  template <class Element>
  void expect_written(const GuardedBuffer<Element>& buffer) const {
    EXPECT_TRUE(buffer.guards_intact());
    EXPECT_EQ(buffer.poisoned(), static_cast<std::size_t>(shape_.batch * shape_.tokens() * GetParam().gap));
  }

  template <class Element>
  void check(DataType dtype) {
    const auto query = random<Element>(), key = random<Element>(), value = random<Element>(), grad_output = random<Element>();
    GuardedBuffer<Element> output(numbers()), grad_query(numbers()), grad_key(numbers()), grad_value(numbers());
    GuardedBuffer<float> lse(rows());
    const AttentionForward forward{.shape = shape_, .dtype = dtype, .scale = 0.25F, .query = input(query), .key = input(key),
                                   .value = input(value), .output = result(output), .lse = lse.data()};
    ASSERT_EQ(cpu::forward_unsupported(forward), nullptr);
    cpu::attention_forward(forward, run_serially);
    expect_written(output);
    EXPECT_TRUE(lse.guards_intact());
    EXPECT_EQ(lse.poisoned(), 0U);
    const AttentionBackward backward{.shape = shape_, .dtype = dtype, .scale = 0.25F, .query = forward.query, .key = forward.key,
                                     .value = forward.value, .output = input(output), .grad_output = input(grad_output),
                                     .lse = lse.data(), .grad_lse = nullptr, .grad_query = result(grad_query),
                                     .grad_key = result(grad_key), .grad_value = result(grad_value)};
    ASSERT_EQ(cpu::backward_unsupported(backward), nullptr);
    cpu::attention_backward(backward, run_serially);
    for (const auto* gradient : {&grad_query, &grad_key, &grad_value}) expect_written(*gradient);
  }

  static constexpr int kHeads = 2;
  std::int32_t dilation_[kHeads];
  AttentionShape shape_;
  std::int64_t token_stride_ = 0, batch_stride_ = 0;
  std::mt19937 generator_{7};
};

TEST_P(RedZones, Float32) { check<float>(DataType::kFloat32); }

TEST_P(RedZones, BFloat16) {
  test::for_each_bfloat16_way([&] { check<BFloat16>(DataType::kBFloat16); });
}

INSTANTIATE_TEST_SUITE_P(Kernels, RedZones,
                         ::testing::Values(Case{1, 1, 0, 1, 1, 1, 0}, Case{1, 1, 1, 3, 17, 1, 3}, Case{1, 67, 2, 9, 16, 3, 0},
                                           Case{67, 1, 2, 9, 33, 3, 5}, Case{13, 29, 8, 7, 64, 2, 1}, Case{16, 16, 16, 17, 32, 1, 0},
                                           Case{17, 15, 64, 5, 40, 20, 7}, Case{4, 5, 3, 99, 256, 1, 2}, Case{150, 11, 33, 3, 96, 1, 0}));

TEST(Limits, HeadDimensionIsSaid) {
  const std::int32_t dilation = 1;
  AttentionForward forward;
  forward.shape = {.batch = 1, .grid_height = 2, .grid_width = 2, .heads = 1, .head_dim = 257, .global_tokens = 0, .window_height = 1,
                   .window_width = 1, .dilation = &dilation};
  EXPECT_STREQ(cpu::forward_unsupported(forward), "head_dim out of range, expected 1 to 256");
}

TEST(InstructionSet, HasAName) { EXPECT_GT(std::strlen(cpu::instruction_set()), 0U); }

}  // namespace
}  // namespace fovea::kernels
