// The benchmark checks what it measures and says what it found, as a table and as JSON.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/attention/bench/attention_bench.h"
#include "core/attention/bench/bench_cases.h"
#include "core/base/error.h"
#include "tests/support/attention_oracle.h"

namespace fovea::test {
namespace {

TEST(AttentionBench, CountsVisiblePairsByDefinition) {
  const bench::BenchCase measured{.name = "", .pattern = {.grid = {7, 9}, .global_tokens = 3, .window = {5, 3}, .dilation = {2}},
                                  .heads = 1};
  const AttentionProblem problem{.pattern = measured.pattern, .batch = 1, .heads = 1, .head_dim = 8, .scale = {}};
  double pairs = 0;
  for (std::int64_t q = 0; q < problem.tokens(); ++q) {
    for (std::int64_t k = 0; k < problem.tokens(); ++k) pairs += sees(problem, 0, q, k) ? 1 : 0;
  }
  EXPECT_EQ(bench::visible_pairs(measured), pairs);
}

TEST(AttentionBench, ReportsJson) {
  std::ostringstream out;
  const AttentionBenchOptions options{.device = "cpu", .only = "64x64 window 17 heads 6x64 dilation 1 globals 8 float32 forward",
                                      .seconds_per_case = 0.01, .format = BenchFormat::kJson};
  EXPECT_EQ(run_attention_bench(options, out), 0);
  const auto report = nlohmann::json::parse(out.str());
  ASSERT_EQ(report["cases"].size(), 1U);
  const auto& row = report["cases"][0];
  EXPECT_EQ(row["backend"], "cpu");
  EXPECT_TRUE(row["correct"].get<bool>());
  EXPECT_GT(row["ours"]["median_ms"].get<double>(), 0);
  EXPECT_GT(row["floor_ms"].get<double>(), 0);
  EXPECT_GE(row["ours"]["p90_ms"].get<double>(), row["ours"]["p10_ms"].get<double>());
}

TEST(AttentionBench, ACaseThatCannotRunSaysWhyAndTheOthersFollow) {
  std::ostringstream out;
  const AttentionBenchOptions options{.device = "cpu", .backend = "sm80", .only = "64x64 window 17 heads 6x64 dilation 1 globals 8 float32",
                                      .seconds_per_case = 0.01, .format = BenchFormat::kJson};
  const int wrong = run_attention_bench(options, out);
  const auto report = nlohmann::json::parse(out.str());
  EXPECT_GT(wrong, 1);
  EXPECT_EQ(report["cases"].size(), static_cast<std::size_t>(wrong));
  for (const auto& row : report["cases"]) {
    EXPECT_FALSE(row["correct"].get<bool>());
    EXPECT_NE(row["failure"].get<std::string>().find("the forced back end sm80 cannot run this"), std::string::npos);
  }
}

TEST(AttentionBench, RefusesUnknownDevices) {
  std::ostringstream out;
  EXPECT_THROW(run_attention_bench({.device = "tpu"}, out), Error);
}

}  // namespace
}  // namespace fovea::test
