// Sampled configurations against the definition. FOVEA_TEST_SEED=N repeats or varies a run.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/attention/backend_fixture.h"

namespace fovea::test {
namespace {

constexpr int kConfigurations = 320;
constexpr std::int64_t kMaxTokens = 320;   // the oracle is quadratic

using Sweep = EachBackend;

std::uint64_t sweep_seed() {
  const char* given = std::getenv("FOVEA_TEST_SEED");
  return given ? std::strtoull(given, nullptr, 10) : 20261123;
}

class Sampler {
 public:
  explicit Sampler(std::uint64_t seed) : generator_(seed) {}

  std::int64_t between(std::int64_t low, std::int64_t high) { return std::uniform_int_distribution<std::int64_t>(low, high)(generator_); }

  // Small numbers are as likely as large ones: sizes matter by their order of magnitude.
  std::int64_t skewed(std::int64_t low, std::int64_t high) { return between(low, between(low, high)); }

  AttentionProblem problem() {
    AttentionProblem sample;
    sample.heads = skewed(1, 6);
    sample.batch = skewed(1, 3);
    sample.head_dim = between(0, 1) ? std::int64_t{32} << between(0, 2) : between(1, 256);
    sample.pattern.global_tokens = between(0, 2) ? skewed(0, 64) : 0;
    const std::int64_t height = skewed(1, 64);
    sample.pattern.grid = {height, between(1, std::max<std::int64_t>(1, (kMaxTokens - sample.pattern.global_tokens) / height))};
    sample.pattern.window = {2 * skewed(0, 20) + 1, 2 * skewed(0, 20) + 1};
    sample.pattern.dilation.assign(between(0, 1) ? 1 : static_cast<std::size_t>(sample.heads), 1);
    for (std::int64_t& step : sample.pattern.dilation) step = skewed(1, 6);
    if (between(0, 3) == 0) sample.scale = static_cast<double>(between(-100, 100)) / 100;
    return sample;
  }

 private:
  std::mt19937_64 generator_;
};

TEST_P(Sweep, SampledConfigurations) {
  const std::uint64_t seed = sweep_seed();
  std::printf("sweep of %d configurations, seed %llu\n", kConfigurations, static_cast<unsigned long long>(seed));
  Sampler sampler(seed);
  for (int i = 0; i < kConfigurations && !HasFailure(); ++i) {
    AttentionProblem problem = sampler.problem();
    problem.head_dim = allowed_head_dim(problem.head_dim);
    SCOPED_TRACE("configuration " + std::to_string(i));
    check(problem, seed + static_cast<std::uint64_t>(i));
  }
}

FOVEA_FOR_EACH_BACKEND(Sweep);

}  // namespace
}  // namespace fovea::test
