// The shapes that are measured, and what they cost at least.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/attention/bench/bench_clock.h"
#include "core/attention/local_global_attention.h"

namespace fovea::bench {

enum class Pass { kForward, kBackward };

struct BenchCase {
  std::string name;
  AttentionPattern pattern;
  std::int64_t heads = 12, head_dim = 64;
  at::ScalarType dtype = at::kBFloat16;
  Pass pass = Pass::kForward;
  std::int64_t tokens() const { return pattern.global_tokens + pattern.grid[0] * pattern.grid[1]; }
};

std::vector<BenchCase> bench_cases(at::Device device);

// Pairs of a query and a key that it sees, of one head.
double visible_pairs(const BenchCase& measured);

// Bytes that must move and operations that must be done, at the machine's rates; the larger of the two.
double floor_ms(const BenchCase& measured, const MachineRates& rates);

}  // namespace fovea::bench
