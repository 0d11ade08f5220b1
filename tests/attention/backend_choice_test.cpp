// Which back end runs, and that forcing one is obeyed.
#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/attention/local_global_attention.h"
#include "core/base/error.h"
#include "tests/support/attention_oracle.h"

namespace fovea::test {
namespace {

AttentionProblem problem() {
  return {.pattern = {.grid = {4, 5}, .global_tokens = 2, .window = {3, 3}, .dilation = {1}},
          .batch = 1, .heads = 2, .head_dim = 8, .scale = {}};
}

void run(at::ScalarType dtype) {
  const AttentionInputs inputs = random_inputs(problem(), 1, dtype, at::kCPU);
  local_global_attention(inputs.query, inputs.key, inputs.value, problem().pattern);
}

class BackendChoice : public ::testing::Test {
 protected:
  void SetUp() override { force_attention_backend(""); }
  void TearDown() override { force_attention_backend(""); }
};

TEST_F(BackendChoice, CpuRunsOnTheCpu) {
  run(at::kFloat);
  EXPECT_EQ(last_attention_backend(), "cpu");
}

TEST_F(BackendChoice, ReferenceTakesWhatNobodyElseDoes) {
  run(at::kDouble);
  EXPECT_EQ(last_attention_backend(), "reference");
}

TEST_F(BackendChoice, ForcedOneRuns) {
  for (const char* name : {"reference", "cpu", "reference"}) {
    force_attention_backend(name);
    run(at::kFloat);
    EXPECT_EQ(last_attention_backend(), name);
  }
}

TEST_F(BackendChoice, ForcedOneThatCannotRunSaysWhy) {
  force_attention_backend("cpu");
  try {
    run(at::kDouble);
    FAIL() << "expected an error";
  } catch (const c10::Error& error) {
    EXPECT_EQ(std::string(error.what_without_backtrace()), "local_global_attention: the forced back end cpu cannot run this forward pass: "
                                                           "dtype Double, expected float32, bfloat16 or float16");
  }
}

TEST_F(BackendChoice, ForcedOneWithoutItsDeviceSaysWhy) {
  force_attention_backend("sm80");
  EXPECT_THROW(run(at::kFloat), c10::Error);
}

TEST_F(BackendChoice, UnknownNameIsRefused) {
  try {
    force_attention_backend("tpu");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_STREQ(error.what(), "attention back end \"tpu\": unknown, expected sm90, sm80, cpu, reference");
  }
}

TEST_F(BackendChoice, TableListsAllRows) {
  std::vector<std::string> names;
  for (const BackendStatus& status : attention_backends()) names.push_back(status.name);
  EXPECT_EQ(names, (std::vector<std::string>{"sm90", "sm80", "cpu", "reference"}));
}

// Run by a ctest entry of its own, with FOVEA_ATTENTION=reference in the environment.
TEST(BackendFromEnvironment, IsForced) {
  const char* name = std::getenv("FOVEA_ATTENTION");
  if (!name) GTEST_SKIP() << "FOVEA_ATTENTION is not set";
  run(at::kFloat);
  EXPECT_EQ(last_attention_backend(), name);
}

}  // namespace
}  // namespace fovea::test
