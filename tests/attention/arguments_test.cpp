// Each wrong argument raises one sentence that says what was expected and what came; for tensors of the CPU, and of a GPU where there is
// one.
#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <limits>

#include "core/attention/local_global_attention.h"
#include "core/base/error.h"
#include "core/base/torch_runtime.h"
#include "tests/support/attention_oracle.h"
#include "tests/support/comparator.h"

namespace fovea::test {
namespace {

AttentionProblem good_problem() {
  return {.pattern = {.grid = {4, 5}, .global_tokens = 2, .window = {3, 3}, .dilation = {1}},
          .batch = 1, .heads = 2, .head_dim = 8, .scale = {}};
}

class Arguments : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (GetParam() == at::kCUDA && !load_torch_cuda().empty()) GTEST_SKIP() << "NOT TESTED with CUDA tensors: " << load_torch_cuda();
  }
  void TearDown() override { force_attention_backend(""); }

  static AttentionInputs inputs_of(const AttentionProblem& problem, at::ScalarType dtype = at::kFloat) {
    return random_inputs(problem, 1, dtype, GetParam());
  }
  static AttentionInputs good_inputs() { return inputs_of(good_problem()); }
  // As messages name it.
  static std::string device() { return GetParam() == at::kCUDA ? "cuda:0" : "cpu"; }
};

std::string sentence(const AttentionInputs& inputs, const AttentionPattern& pattern, std::optional<double> scale = {}) {
  try {
    local_global_attention(inputs.query, inputs.key, inputs.value, pattern, scale);
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "no error";
}

AttentionPattern with(void (*change)(AttentionPattern&)) {
  AttentionPattern pattern = good_problem().pattern;
  change(pattern);
  return pattern;
}

TEST_P(Arguments, GoodOnesPass) { EXPECT_EQ(sentence(good_inputs(), good_problem().pattern), "no error"); }

TEST_P(Arguments, Rank) {
  AttentionInputs inputs = good_inputs();
  inputs.key = inputs.key.select(0, 0);
  EXPECT_EQ(sentence(inputs, good_problem().pattern), "local_global_attention: key has 3 dimensions, expected 4: [B, N, heads, D]");
}

TEST_P(Arguments, DtypeMix) {
  AttentionInputs inputs = good_inputs();
  inputs.value = inputs.value.to(at::kBFloat16);
  EXPECT_EQ(sentence(inputs, good_problem().pattern), "local_global_attention: value is BFloat16, expected Float like query");
}

TEST_P(Arguments, DtypeUnknown) {
  const AttentionInputs inputs = converted(good_inputs(), at::kLong, GetParam());
  EXPECT_EQ(sentence(inputs, good_problem().pattern),
            "local_global_attention: query is Long, expected float32, bfloat16, float16 or float64");
}

TEST_P(Arguments, DeviceMix) {
  AttentionInputs inputs = good_inputs();
  inputs.key = at::empty(inputs.key.sizes(), inputs.key.options().device(at::kMeta));
  EXPECT_EQ(sentence(inputs, good_problem().pattern), "local_global_attention: key is on meta, expected " + device() + " like query");
}

TEST_P(Arguments, ShapeMix) {
  AttentionInputs inputs = good_inputs();
  inputs.value = inputs.value.slice(1, 0, 21);
  EXPECT_EQ(sentence(inputs, good_problem().pattern),
            "local_global_attention: value has shape [1, 21, 2, 8], expected [1, 22, 2, 8] like query");
}

TEST_P(Arguments, DepthNotContiguous) {
  AttentionInputs inputs = good_inputs();
  inputs.query = inputs.query.transpose(2, 3).contiguous().transpose(2, 3);
  EXPECT_EQ(sentence(inputs, good_problem().pattern),
            "local_global_attention: query has stride 2 in its last dimension, expected 1 (contiguous)");
}

TEST_P(Arguments, HeadDimension) {
  AttentionProblem problem = good_problem();
  problem.head_dim = 257;
  EXPECT_EQ(sentence(inputs_of(problem), problem.pattern),
            "local_global_attention: query has head_dim 257, expected 1 to 256");
}

TEST_P(Arguments, EvenWindow) {
  EXPECT_EQ(sentence(good_inputs(), with([](AttentionPattern& pattern) { pattern.window = {3, 4}; })),
            "local_global_attention: window is 3 x 4, expected two odd numbers of at least 1");
}

TEST_P(Arguments, NegativeWindow) {
  EXPECT_EQ(sentence(good_inputs(), with([](AttentionPattern& pattern) { pattern.window = {-3, 3}; })),
            "local_global_attention: window is -3 x 3, expected two odd numbers of at least 1");
}

TEST_P(Arguments, Dilation) {
  EXPECT_EQ(sentence(good_inputs(), with([](AttentionPattern& pattern) { pattern.dilation = {1, 0}; })),
            "local_global_attention: dilation has the entry 0, expected at least 1");
  EXPECT_EQ(sentence(good_inputs(), with([](AttentionPattern& pattern) { pattern.dilation = {1, 1, 1}; })),
            "local_global_attention: dilation has 3 entries, expected 1 or one a head (2)");
  EXPECT_EQ(sentence(good_inputs(), with([](AttentionPattern& pattern) { pattern.dilation.clear(); })),
            "local_global_attention: dilation has 0 entries, expected 1 or one a head (2)");
}

TEST_P(Arguments, GridDoesNotMatch) {
  EXPECT_EQ(sentence(good_inputs(), with([](AttentionPattern& pattern) { pattern.grid = {5, 5}; })),
            "local_global_attention: query has 22 tokens, expected 27: 2 global and a grid of 5 x 5");
  EXPECT_EQ(sentence(good_inputs(), with([](AttentionPattern& pattern) { pattern.grid = {-4, -5}; })),
            "local_global_attention: grid is -4 x -5, expected sides from 0 to 2147483647");
}

TEST_P(Arguments, GlobalTokens) {
  EXPECT_EQ(sentence(good_inputs(), with([](AttentionPattern& pattern) { pattern.global_tokens = 65; })),
            "local_global_attention: global_tokens is 65, expected 0 to 64");
}

TEST_P(Arguments, Scale) {
  EXPECT_EQ(sentence(good_inputs(), good_problem().pattern, std::numeric_limits<double>::infinity()),
            "local_global_attention: scale is inf, expected a finite number");
}

TEST_P(Arguments, SecondDerivative) {
  AttentionInputs inputs = good_inputs();
  inputs.query = inputs.query.detach().clone().requires_grad_(true);
  const at::Tensor output = local_global_attention(inputs.query, inputs.key, inputs.value, good_problem().pattern).output;
  EXPECT_THROW(torch::autograd::grad({output.sum()}, {inputs.query}, {}, std::nullopt, /*create_graph=*/true), c10::Error);
}

TEST_P(Arguments, MetaTensorsGiveShapes) {
  const AttentionInputs inputs = good_inputs();
  const auto meta = [](const at::Tensor& tensor) { return at::empty(tensor.sizes(), tensor.options().device(at::kMeta)); };
  const AttentionResult result =
      local_global_attention(meta(inputs.query), meta(inputs.key), meta(inputs.value), good_problem().pattern);
  EXPECT_TRUE(result.output.is_meta());
  EXPECT_EQ(result.output.sizes(), inputs.query.sizes());
  EXPECT_EQ(result.lse.sizes(), at::IntArrayRef({1, 2, 22}));
}

TEST_P(Arguments, EmptyBatchGivesAnEmptyResult) {
  AttentionProblem problem = good_problem();
  problem.batch = 0;
  AttentionInputs inputs = inputs_of(problem);
  inputs.key = inputs.key.detach().clone().requires_grad_(true);
  const AttentionResult result = local_global_attention(inputs.query, inputs.key, inputs.value, problem.pattern);
  EXPECT_EQ(result.output.sizes(), at::IntArrayRef({0, 22, 2, 8}));
  EXPECT_EQ(result.lse.sizes(), at::IntArrayRef({0, 2, 22}));
  EXPECT_EQ(torch::autograd::grad({result.output.sum()}, {inputs.key})[0].sizes(), inputs.key.sizes());
}

TEST_P(Arguments, ForcedBackEndOfTheOtherDevice) {
  const bool on_gpu = GetParam() == at::kCUDA;
  force_attention_backend(on_gpu ? "cpu" : "sm80");
  const std::string said = sentence(good_inputs(), good_problem().pattern);
  const std::string start = on_gpu ? "local_global_attention: the forced back end cpu cannot run this forward pass: tensors on cuda:0"
                                   : "local_global_attention: the forced back end sm80 cannot run this forward pass: ";
  EXPECT_EQ(said.substr(0, start.size()), start) << said;
}

// What a GPU's kernels do not take is refused where they are forced, and computed by the reference where they are not.
TEST_P(Arguments, OfTheGpusKernels) {
  if (GetParam() != at::kCUDA) GTEST_SKIP() << "concerns CUDA tensors";
  const std::string start = "local_global_attention: the forced back end sm80 cannot run this forward pass: ";
  const auto forced = [&](const AttentionInputs& inputs) {
    force_attention_backend("sm80");
    const std::string said = sentence(inputs, good_problem().pattern);
    force_attention_backend("");
    EXPECT_EQ(sentence(inputs, good_problem().pattern), "no error");
    EXPECT_EQ(last_attention_backend(), "reference");
    return said;
  };
  EXPECT_EQ(forced(good_inputs()), start + "head_dim other than 32, 64, 128");
  AttentionProblem problem = good_problem();
  problem.head_dim = 64;
  EXPECT_EQ(forced(inputs_of(problem, at::kDouble)), start + "dtype Double, expected float32, bfloat16 or float16");
  AttentionInputs shifted = inputs_of(problem);
  const std::int64_t numbers = shifted.query.numel();
  shifted.query = at::zeros({numbers + 1}, shifted.query.options()).narrow(0, 1, numbers).view(shifted.key.sizes());
  EXPECT_EQ(forced(shifted), start + "a tensor that does not start at a multiple of 16 bytes");
}

INSTANTIATE_TEST_SUITE_P(Devices, Arguments, ::testing::Values(at::kCPU, at::kCUDA), [](const auto& device) {
  return std::string(device.param == at::kCUDA ? "Cuda" : "Cpu");
});

}  // namespace
}  // namespace fovea::test
