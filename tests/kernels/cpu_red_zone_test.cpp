// The CPU kernels write every number of their results and nothing else, and do not read what they should have written.
#include <gtest/gtest.h>

#include <random>

#include "kernels/attention_cpu.h"
#include "tests/kernels/guarded_buffer.h"

namespace fovea::kernels {
namespace {

using test::GuardedBuffer;

void run_serially(std::int64_t tasks, const std::function<void(std::int64_t)>& body) {
  for (std::int64_t task = 0; task < tasks; ++task) body(task);
}

struct Case {
  std::int64_t height, width;
  int globals, window, head_dim;
  std::int32_t dilation;
  std::int64_t gap;   // unused floats between two tokens of the results
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

  std::size_t floats() const { return static_cast<std::size_t>(shape_.batch * batch_stride_); }
  std::size_t rows() const { return static_cast<std::size_t>(shape_.batch * kHeads * shape_.tokens()); }

  std::vector<float> random(std::size_t count) {
    std::normal_distribution<float> normal;
    std::vector<float> numbers(count);
    for (float& number : numbers) number = normal(generator_);
    return numbers;
  }
  template <class Pointer>
  View<Pointer> view(Pointer data) const { return {data, batch_stride_, token_stride_, shape_.head_dim}; }

  // All numbers written, gaps and guards untouched.
  void expect_written(const GuardedBuffer& buffer) const {
    EXPECT_TRUE(buffer.guards_intact());
    EXPECT_EQ(buffer.poisoned(), static_cast<std::size_t>(shape_.batch * shape_.tokens() * GetParam().gap));
  }

  static constexpr int kHeads = 2;
  std::int32_t dilation_[kHeads];
  AttentionShape shape_;
  std::int64_t token_stride_ = 0, batch_stride_ = 0;
  std::mt19937 generator_{7};
};

TEST_P(RedZones, ForwardAndBackward) {
  const std::vector<float> query = random(floats()), key = random(floats()), value = random(floats()), grad_output = random(floats());
  GuardedBuffer output(floats()), lse(rows());
  const AttentionForward forward{.shape = shape_, .dtype = DataType::kFloat32, .scale = 0.25F,
                                 .query = view<const void*>(query.data()), .key = view<const void*>(key.data()),
                                 .value = view<const void*>(value.data()), .output = view<void*>(output.data()), .lse = lse.data()};
  ASSERT_EQ(cpu::forward_unsupported(forward), nullptr);
  cpu::attention_forward(forward, run_serially);
  expect_written(output);
  EXPECT_TRUE(lse.guards_intact());
  EXPECT_EQ(lse.poisoned(), 0U);

  GuardedBuffer grad_query(floats()), grad_key(floats()), grad_value(floats());
  const AttentionBackward backward{
      .shape = shape_, .dtype = DataType::kFloat32, .scale = 0.25F, .query = forward.query, .key = forward.key, .value = forward.value,
      .output = view<const void*>(output.data()), .grad_output = view<const void*>(grad_output.data()), .lse = lse.data(),
      .grad_lse = nullptr, .grad_query = view<void*>(grad_query.data()), .grad_key = view<void*>(grad_key.data()),
      .grad_value = view<void*>(grad_value.data())};
  ASSERT_EQ(cpu::backward_unsupported(backward), nullptr);
  cpu::attention_backward(backward, run_serially);
  expect_written(grad_query);
  expect_written(grad_key);
  expect_written(grad_value);
}

INSTANTIATE_TEST_SUITE_P(Kernels, RedZones,
                         ::testing::Values(Case{1, 1, 0, 1, 1, 1, 0}, Case{1, 1, 1, 3, 17, 1, 3}, Case{1, 67, 2, 9, 16, 3, 0},
                                           Case{67, 1, 2, 9, 33, 3, 5}, Case{13, 29, 8, 7, 64, 2, 1}, Case{16, 16, 16, 17, 32, 1, 0},
                                           Case{17, 15, 64, 5, 40, 20, 7}, Case{4, 5, 3, 99, 256, 1, 2}));

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
