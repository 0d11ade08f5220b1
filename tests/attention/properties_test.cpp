// What must hold whatever the numbers are.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <thread>

#include "tests/attention/backend_fixture.h"

namespace fovea::test {
namespace {

class Properties : public EachBackend {
 protected:
  static AttentionProblem problem() {
    return {.pattern = {.grid = {21, 34}, .global_tokens = 5, .window = {7, 9}, .dilation = {1, 2}},
            .batch = 2, .heads = 2, .head_dim = 32, .scale = {}};
  }
  // One in which every query sees every key.
  static AttentionProblem dense_problem() {
    return {.pattern = {.grid = {11, 9}, .global_tokens = 3, .window = {21, 17}, .dilation = {1}},
            .batch = 1, .heads = 2, .head_dim = 32, .scale = {}};
  }
  AttentionResult run(const AttentionProblem& problem, const AttentionInputs& inputs) const {
    return local_global_attention(inputs.query, inputs.key, inputs.value, problem.pattern, problem.scale);
  }
  // Both are sums of the same terms in another order.
  void expect_reordered(const at::Tensor& actual, const at::Tensor& expected, const AttentionProblem& problem) const {
    const double bound = 2.0 * static_cast<double>(problem.tokens()) * unit_roundoff(actual.scalar_type()) * max_magnitude(expected);
    EXPECT_LE(max_error(actual, expected), bound);
  }
};

TEST_P(Properties, ConstantValuesGiveTheConstant) {
  AttentionInputs inputs = random_inputs(problem(), 1, dtypes().front(), device());
  inputs.value = at::full_like(inputs.value, 0.75);
  const AttentionResult result = run(problem(), inputs);
  expect_reordered(result.output, at::full_like(result.output, 0.75), problem());
}

TEST_P(Properties, PermutedKeysChangeNothing) {
  const AttentionInputs inputs = random_inputs(dense_problem(), 2, dtypes().front(), device());
  const at::Tensor order = at::randperm(dense_problem().tokens(), at::kLong).to(device());
  const AttentionResult straight = run(dense_problem(), inputs);
  const AttentionResult permuted =
      run(dense_problem(), {inputs.query, inputs.key.index_select(1, order), inputs.value.index_select(1, order)});
  expect_reordered(permuted.output, straight.output, dense_problem());
  expect_reordered(permuted.lse, straight.lse, dense_problem());
}

TEST_P(Properties, SequencesOfABatchAreIndependent) {
  const AttentionInputs inputs = random_inputs(problem(), 3, dtypes().front(), device());
  const AttentionResult both = run(problem(), inputs);
  const AttentionResult second = run(problem(), {inputs.query.slice(0, 1), inputs.key.slice(0, 1), inputs.value.slice(0, 1)});
  EXPECT_TRUE(identical(second.output, both.output.slice(0, 1)));
  EXPECT_TRUE(identical(second.lse, both.lse.slice(0, 1)));
}

TEST_P(Properties, StridesChangeNothing) {
  const AttentionInputs packed = random_inputs(problem(), 4, dtypes().front(), device());
  const AttentionInputs contiguous{packed.query.contiguous(), packed.key.contiguous(), packed.value.contiguous()};
  const auto heads_first = [](const at::Tensor& tensor) { return tensor.transpose(1, 2).contiguous().transpose(1, 2); };
  const AttentionInputs strided{heads_first(packed.query), heads_first(packed.key), heads_first(packed.value)};
  const AttentionResult expected = run(problem(), packed);
  for (const AttentionInputs& inputs : {contiguous, strided}) {
    const AttentionResult result = run(problem(), inputs);
    EXPECT_TRUE(identical(result.output, expected.output));
    EXPECT_TRUE(identical(result.lse, expected.lse));
  }
}

TEST_P(Properties, RunsAreIdentical) {
  for (const at::ScalarType dtype : dtypes()) {
    const AttentionInputs inputs = random_inputs(problem(), 5, dtype, device());
    const AttentionResult first = run(problem(), inputs), second = run(problem(), inputs);
    EXPECT_TRUE(identical(second.output, first.output));
    EXPECT_TRUE(identical(second.lse, first.lse));
  }
}

// A thread that has not used the device yet: the driver may know nothing of it.
TEST_P(Properties, FirstCallOfAThread) {
  for (const at::ScalarType dtype : dtypes()) {
    const AttentionInputs inputs = random_inputs(problem(), 7, dtype, device());
    const AttentionResult expected = run(problem(), inputs);
    AttentionResult result;
    std::thread([&] { result = run(problem(), inputs); }).join();
    EXPECT_TRUE(identical(result.output, expected.output));
    EXPECT_TRUE(identical(result.lse, expected.lse));
  }
}

TEST_P(Properties, StartOfTheMemoryChangesNothing) {
  const AttentionProblem given = problem();
  for (const at::ScalarType dtype : dtypes()) {
    const AttentionInputs inputs = random_inputs(given, 8, dtype, device());
    const auto shifted = [](const at::Tensor& tensor) {
      return at::empty({tensor.numel() + 1}, tensor.options()).narrow(0, 1, tensor.numel()).view(tensor.sizes()).copy_(tensor);
    };
    const AttentionInputs moved{shifted(inputs.query), shifted(inputs.key), shifted(inputs.value)};
    if (!accepts(given, moved)) continue;
    const AttentionResult expected = run(given, inputs), result = run(given, moved);
    expect_reordered(result.output, expected.output, given);
    expect_reordered(result.lse, expected.lse, given);
  }
}

TEST_P(Properties, ThreadsChangeNothing) {
  if (backend() != "cpu") GTEST_SKIP() << "only the cpu back end promises this; torch's matrix products do not";
  AttentionProblem large = problem();
  large.pattern.grid = {61, 70};
  const int threads = at::get_num_threads();
  for (const at::ScalarType dtype : dtypes()) {
    SCOPED_TRACE(c10::toString(dtype));
    const AttentionInputs inputs = random_inputs(large, 6, dtype, at::kCPU);
    at::set_num_threads(1);
    const AttentionResult alone = run(large, inputs);
    at::set_num_threads(2);
    const AttentionResult together = run(large, inputs);
    at::set_num_threads(threads);
    EXPECT_TRUE(identical(together.output, alone.output));
    EXPECT_TRUE(identical(together.lse, alone.lse));
  }
}

TEST_P(Properties, ExtremeLogits) {
  AttentionProblem extreme = problem();
  extreme.scale = 1.0;
  AttentionInputs inputs = random_inputs(extreme, 7, at::kFloat, at::kCPU);
  // Products of two rows of 32 such numbers reach about 1e4 in size.
  inputs = {inputs.query * 30, inputs.key * 30, inputs.value};
  check(extreme, inputs);
}

TEST_P(Properties, OneKeyTakesAll) {
  AttentionInputs inputs = random_inputs(dense_problem(), 8, dtypes().front(), device());
  inputs.query = at::ones_like(inputs.query) * 20;
  inputs.key = at::ones_like(inputs.key) * -20;
  inputs.key.select(1, 40).fill_(20);
  AttentionProblem sharp = dense_problem();
  sharp.scale = 1.0;   // 12800 against -12800
  const AttentionResult result = run(sharp, inputs);
  const at::Tensor expected = inputs.value.slice(1, 40, 41).expand_as(result.output).contiguous();
  if (runs_on_gpu() && expected.scalar_type() == at::kFloat) {
    // Split into two TF32 numbers of 11 bits each, the value keeps 22 of its 24.
    EXPECT_LE(max_error(result.output, expected), 4 * unit_roundoff(at::kFloat) * max_magnitude(expected));
  } else {
    EXPECT_TRUE(identical(result.output, expected));
  }
}

TEST_P(Properties, EmptyBatch) {
  AttentionProblem empty = problem();
  empty.batch = 0;
  for (const at::ScalarType dtype : dtypes()) {
    const AttentionResult result = run(empty, random_inputs(empty, 9, dtype, device()));
    EXPECT_EQ(result.output.sizes(), at::IntArrayRef({0, empty.tokens(), 2, 32}));
    EXPECT_EQ(result.lse.sizes(), at::IntArrayRef({0, 2, empty.tokens()}));
  }
}

FOVEA_FOR_EACH_BACKEND(Properties);

}  // namespace
}  // namespace fovea::test
