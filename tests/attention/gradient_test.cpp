// Gradients: the reference against finite differences, every back end against torch's autograd through the definition.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>

#include <cmath>

#include "tests/attention/backend_fixture.h"

namespace fovea::test {
namespace {

AttentionProblem batch_of_two(std::array<std::int64_t, 2> grid, std::array<std::int64_t, 2> window, std::int64_t globals,
                              std::vector<std::int64_t> dilation) {
  return {.pattern = {.grid = grid, .global_tokens = globals, .window = window, .dilation = std::move(dilation)},
          .batch = 2, .heads = 2, .head_dim = 32, .scale = {}};
}

struct OutputGradients {
  at::Tensor output, lse;   // lse undefined: nothing depends on it
};

OutputGradients random_gradients(const AttentionProblem& problem, at::ScalarType dtype, bool with_lse) {
  at::manual_seed(11);
  const auto wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
  return {at::randn({problem.batch, problem.tokens(), problem.heads, problem.head_dim}, at::kFloat).to(dtype),
          with_lse ? at::randn({problem.batch, problem.heads, problem.tokens()}, at::kFloat).to(wide) : at::Tensor()};
}

AttentionInputs leaves_of(const AttentionInputs& inputs) {
  const auto leaf = [](const at::Tensor& tensor) { return tensor.detach().clone().requires_grad_(true); };
  return {leaf(inputs.query), leaf(inputs.key), leaf(inputs.value)};
}

AttentionInputs gradients_of(const AttentionResult& result, const AttentionInputs& leaves, const OutputGradients& gradients) {
  at::Tensor total = (result.output * gradients.output.to(result.output.device(), result.output.scalar_type())).sum();
  if (gradients.lse.defined()) total = total + (result.lse * gradients.lse.to(result.lse.device(), result.lse.scalar_type())).sum();
  const auto parts = torch::autograd::grad({total}, {leaves.query, leaves.key, leaves.value});
  return {parts[0], parts[1], parts[2]};
}

class Gradients : public EachBackend {
 protected:
  void check_gradients(AttentionProblem problem, bool with_lse) {
    problem.head_dim = allowed_head_dim(problem.head_dim);
    const at::Tensor mask = definition_mask(problem);
    for (const at::ScalarType dtype : dtypes()) {
      SCOPED_TRACE(describe(problem) + ", " + c10::toString(dtype));
      const AttentionInputs inputs = random_inputs(problem, 5, dtype, at::kCPU);
      const OutputGradients upstream = random_gradients(problem, dtype, with_lse);
      const AttentionInputs ours = leaves_of(converted(inputs, dtype, device()));
      if (!accepts_gradients(problem, ours)) continue;
      const AttentionInputs actual =
          gradients_of(local_global_attention(ours.query, ours.key, ours.value, problem.pattern, problem.scale), ours, upstream);
      EXPECT_EQ(last_attention_backend(), backend());
      const auto through_definition = [&](at::ScalarType computed_in) {
        const AttentionInputs leaves = leaves_of(converted(inputs, computed_in, at::kCPU));
        return gradients_of(dense_masked(problem, mask, leaves), leaves, upstream);
      };
      const AttentionInputs oracle = through_definition(at::kDouble), torch = through_definition(dtype);
      // Weights are rebuilt from the lse: its error, relative to its size, scales them.
      const NumberSizes sizes = number_sizes(problem, inputs, dense_masked(problem, mask, converted(inputs, at::kDouble, at::kCPU)).lse);
      const double steps = 2 * (1 + sizes.largest_lse) * rounding_steps(problem, dtype, sizes, runs_on_gpu());
      EXPECT_TRUE(as_accurate_as_torch(actual.query, {.oracle = oracle.query, .torch = torch.query, .rounding_steps = steps}));
      EXPECT_TRUE(as_accurate_as_torch(actual.key, {.oracle = oracle.key, .torch = torch.key, .rounding_steps = steps}));
      EXPECT_TRUE(as_accurate_as_torch(actual.value, {.oracle = oracle.value, .torch = torch.value, .rounding_steps = steps}));
    }
  }
};

TEST_P(Gradients, OfTheOutput) { check_gradients(batch_of_two({9, 14}, {5, 7}, 3, {1}), false); }
TEST_P(Gradients, OfOutputAndLse) { check_gradients(batch_of_two({9, 14}, {5, 7}, 3, {1}), true); }
TEST_P(Gradients, WithoutGlobals) { check_gradients(batch_of_two({13, 8}, {3, 3}, 0, {1}), false); }
TEST_P(Gradients, DilationPerHead) { check_gradients(batch_of_two({11, 13}, {5, 3}, 2, {3, 1}), true); }
TEST_P(Gradients, WindowCoversGrid) { check_gradients(batch_of_two({5, 6}, {11, 11}, 1, {1}), false); }
TEST_P(Gradients, LargeWindow) { check_gradients(batch_of_two({24, 25}, {17, 17}, 8, {1}), false); }
TEST_P(Gradients, OneRow) { check_gradients(batch_of_two({1, 200}, {1, 33}, 4, {2}), true); }
TEST_P(Gradients, MostGlobals) { check_gradients(batch_of_two({5, 6}, {3, 3}, 64, {1}), true); }

TEST_P(Gradients, HeadDimensions) {
  for (const std::int64_t wanted : {5, 64, 128, 256}) {
    AttentionProblem problem = batch_of_two({7, 9}, {5, 5}, 3, {1});
    problem.head_dim = wanted;
    check_gradients(problem, true);
  }
}

TEST_P(Gradients, RunsAreIdentical) {
  AttentionProblem problem = batch_of_two({19, 23}, {7, 7}, 4, {1});
  for (const at::ScalarType dtype : dtypes()) {
    SCOPED_TRACE(c10::toString(dtype));
    const AttentionInputs leaves = leaves_of(random_inputs(problem, 6, dtype, device()));
    if (!accepts_gradients(problem, leaves)) continue;
    const OutputGradients upstream = random_gradients(problem, dtype, true);
    const auto run = [&] {
      return gradients_of(local_global_attention(leaves.query, leaves.key, leaves.value, problem.pattern), leaves, upstream);
    };
    const AttentionInputs first = run();
    if (backend() == "cpu") at::set_num_threads(2);   // which promises the same for any number of threads
    const AttentionInputs second = run();
    at::set_num_threads(1);
    EXPECT_TRUE(identical(second.query, first.query));
    EXPECT_TRUE(identical(second.key, first.key));
    EXPECT_TRUE(identical(second.value, first.value));
  }
}

TEST_P(Gradients, OfAnEmptyBatch) {
  AttentionProblem problem = batch_of_two({5, 6}, {3, 3}, 2, {1});
  problem.batch = 0;
  const AttentionInputs leaves = leaves_of(random_inputs(problem, 7, dtypes().front(), device()));
  if (!accepts_gradients(problem, leaves)) return;
  const AttentionInputs gradients =
      gradients_of(local_global_attention(leaves.query, leaves.key, leaves.value, problem.pattern), leaves,
                   random_gradients(problem, dtypes().front(), true));
  EXPECT_EQ(gradients.query.sizes(), leaves.query.sizes());
}

FOVEA_FOR_EACH_BACKEND(Gradients);

// f(x + h u) - f(x - h u) = 2 h f'(x).u up to h^3 and roundings; with h = cbrt(u) both are of the order u^(2/3).
TEST(ReferenceGradients, AgreeWithFiniteDifferences) {
  force_attention_backend("reference");
  AttentionProblem problem = batch_of_two({4, 5}, {3, 5}, 2, {1, 2});
  problem.head_dim = 6;
  const AttentionInputs inputs = random_inputs(problem, 7, at::kDouble, at::kCPU);
  const OutputGradients upstream = random_gradients(problem, at::kDouble, true);
  const auto value = [&](const AttentionInputs& at_inputs) {
    const AttentionResult result = local_global_attention(at_inputs.query, at_inputs.key, at_inputs.value, problem.pattern);
    return (result.output * upstream.output).sum().item<double>() + (result.lse * upstream.lse).sum().item<double>();
  };
  const AttentionInputs leaves = leaves_of(inputs);
  const AttentionInputs gradients =
      gradients_of(local_global_attention(leaves.query, leaves.key, leaves.value, problem.pattern), leaves, upstream);
  const double roundoff = unit_roundoff(at::kDouble), step = std::cbrt(roundoff);
  for (std::uint64_t seed = 100; seed < 110; ++seed) {
    const AttentionInputs way = random_inputs(problem, seed, at::kDouble, at::kCPU);
    const auto moved = [&](double by) {
      return AttentionInputs{inputs.query + way.query * by, inputs.key + way.key * by, inputs.value + way.value * by};
    };
    const double numeric = (value(moved(step)) - value(moved(-step))) / (2 * step);
    const at::Tensor products = at::cat({gradients.query * way.query, gradients.key * way.key, gradients.value * way.value});
    EXPECT_LE(std::abs(numeric - products.sum().item<double>()), 16 * step * step * products.abs().sum().item<double>());
  }
  force_attention_backend("");
}

TEST(Autocast, CastsToItsDtype) {
  const AttentionProblem problem = batch_of_two({4, 5}, {3, 3}, 2, {1});
  const AttentionInputs inputs = random_inputs(problem, 8, at::kFloat, at::kCPU);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const AttentionResult result = local_global_attention(inputs.query, inputs.key, inputs.value, problem.pattern);
  at::autocast::set_autocast_enabled(at::kCPU, false);
  at::autocast::clear_cache();
  EXPECT_EQ(result.output.scalar_type(), at::kBFloat16);
  EXPECT_EQ(result.lse.scalar_type(), at::kFloat);
}

}  // namespace
}  // namespace fovea::test
