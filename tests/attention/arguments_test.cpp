// Each wrong argument raises one sentence that says what was expected and what came.
#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <limits>

#include "core/attention/local_global_attention.h"
#include "core/base/error.h"
#include "tests/support/attention_oracle.h"
#include "tests/support/comparator.h"

namespace fovea::test {
namespace {

AttentionProblem good_problem() {
  return {.pattern = {.grid = {4, 5}, .global_tokens = 2, .window = {3, 3}, .dilation = {1}},
          .batch = 1, .heads = 2, .head_dim = 8, .scale = {}};
}

AttentionInputs good_inputs() { return random_inputs(good_problem(), 1, at::kFloat, at::kCPU); }

std::string sentence(const AttentionInputs& inputs, const AttentionPattern& pattern, std::optional<double> scale = {}) {
  try {
    local_global_attention(inputs.query, inputs.key, inputs.value, pattern, scale);
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "no error";
}

std::string sentence(const AttentionPattern& pattern) { return sentence(good_inputs(), pattern); }

AttentionPattern with(void (*change)(AttentionPattern&)) {
  AttentionPattern pattern = good_problem().pattern;
  change(pattern);
  return pattern;
}

TEST(Arguments, GoodOnesPass) { EXPECT_EQ(sentence(good_problem().pattern), "no error"); }

TEST(Arguments, Rank) {
  AttentionInputs inputs = good_inputs();
  inputs.key = inputs.key.select(0, 0);
  EXPECT_EQ(sentence(inputs, good_problem().pattern), "local_global_attention: key has 3 dimensions, expected 4: [B, N, heads, D]");
}

TEST(Arguments, DtypeMix) {
  AttentionInputs inputs = good_inputs();
  inputs.value = inputs.value.to(at::kBFloat16);
  EXPECT_EQ(sentence(inputs, good_problem().pattern), "local_global_attention: value is BFloat16, expected Float like query");
}

TEST(Arguments, DtypeUnknown) {
  const AttentionInputs inputs = converted(good_inputs(), at::kLong, at::kCPU);
  EXPECT_EQ(sentence(inputs, good_problem().pattern),
            "local_global_attention: query is Long, expected float32, bfloat16, float16 or float64");
}

TEST(Arguments, DeviceMix) {
  AttentionInputs inputs = good_inputs();
  inputs.key = at::empty(inputs.key.sizes(), inputs.key.options().device(at::kMeta));
  EXPECT_EQ(sentence(inputs, good_problem().pattern), "local_global_attention: key is on meta, expected cpu like query");
}

TEST(Arguments, ShapeMix) {
  AttentionInputs inputs = good_inputs();
  inputs.value = inputs.value.slice(1, 0, 21);
  EXPECT_EQ(sentence(inputs, good_problem().pattern),
            "local_global_attention: value has shape [1, 21, 2, 8], expected [1, 22, 2, 8] like query");
}

TEST(Arguments, DepthNotContiguous) {
  AttentionInputs inputs = good_inputs();
  inputs.query = inputs.query.transpose(2, 3).contiguous().transpose(2, 3);
  EXPECT_EQ(sentence(inputs, good_problem().pattern),
            "local_global_attention: query has stride 2 in its last dimension, expected 1 (contiguous)");
}

TEST(Arguments, HeadDimension) {
  AttentionProblem problem = good_problem();
  problem.head_dim = 257;
  EXPECT_EQ(sentence(random_inputs(problem, 1, at::kFloat, at::kCPU), problem.pattern),
            "local_global_attention: query has head_dim 257, expected 1 to 256");
}

TEST(Arguments, EvenWindow) {
  EXPECT_EQ(sentence(with([](AttentionPattern& pattern) { pattern.window = {3, 4}; })),
            "local_global_attention: window is 3 x 4, expected two odd numbers of at least 1");
}

TEST(Arguments, NegativeWindow) {
  EXPECT_EQ(sentence(with([](AttentionPattern& pattern) { pattern.window = {-3, 3}; })),
            "local_global_attention: window is -3 x 3, expected two odd numbers of at least 1");
}

TEST(Arguments, Dilation) {
  EXPECT_EQ(sentence(with([](AttentionPattern& pattern) { pattern.dilation = {1, 0}; })),
            "local_global_attention: dilation has the entry 0, expected at least 1");
  EXPECT_EQ(sentence(with([](AttentionPattern& pattern) { pattern.dilation = {1, 1, 1}; })),
            "local_global_attention: dilation has 3 entries, expected 1 or one a head (2)");
  EXPECT_EQ(sentence(with([](AttentionPattern& pattern) { pattern.dilation.clear(); })),
            "local_global_attention: dilation has 0 entries, expected 1 or one a head (2)");
}

TEST(Arguments, GridDoesNotMatch) {
  EXPECT_EQ(sentence(with([](AttentionPattern& pattern) { pattern.grid = {5, 5}; })),
            "local_global_attention: query has 22 tokens, expected 27: 2 global and a grid of 5 x 5");
  EXPECT_EQ(sentence(with([](AttentionPattern& pattern) { pattern.grid = {-4, -5}; })),
            "local_global_attention: grid is -4 x -5, expected sides from 0 to 2147483647");
}

TEST(Arguments, GlobalTokens) {
  EXPECT_EQ(sentence(with([](AttentionPattern& pattern) { pattern.global_tokens = 65; })),
            "local_global_attention: global_tokens is 65, expected 0 to 64");
}

TEST(Arguments, Scale) {
  EXPECT_EQ(sentence(good_inputs(), good_problem().pattern, std::numeric_limits<double>::infinity()),
            "local_global_attention: scale is inf, expected a finite number");
}

TEST(Arguments, SecondDerivative) {
  AttentionInputs inputs = good_inputs();
  inputs.query = inputs.query.detach().clone().requires_grad_(true);
  const at::Tensor output = local_global_attention(inputs.query, inputs.key, inputs.value, good_problem().pattern).output;
  EXPECT_THROW(torch::autograd::grad({output.sum()}, {inputs.query}, {}, std::nullopt, /*create_graph=*/true), c10::Error);
}

TEST(Arguments, MetaTensorsGiveShapes) {
  const AttentionInputs inputs = good_inputs();
  const auto meta = [](const at::Tensor& tensor) { return at::empty(tensor.sizes(), tensor.options().device(at::kMeta)); };
  const AttentionResult result =
      local_global_attention(meta(inputs.query), meta(inputs.key), meta(inputs.value), good_problem().pattern);
  EXPECT_TRUE(result.output.is_meta());
  EXPECT_EQ(result.output.sizes(), inputs.query.sizes());
  EXPECT_EQ(result.lse.sizes(), at::IntArrayRef({1, 2, 22}));
}

}  // namespace
}  // namespace fovea::test
