// The shapes that are measured, and what they cost at least.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <string>
#include <vector>
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
  std::string backend = {};   // forced; "": the operator chooses
  std::int64_t tokens() const { return pattern.global_tokens + pattern.grid[0] * pattern.grid[1]; }
};

std::vector<BenchCase> bench_cases(at::Device device);

// Two cases by name whose times are compared: `numerator` may take at most `bar` times as long as `denominator`.
struct BenchRatio {
  std::string numerator, denominator;
  double bar = 0;
};
std::vector<BenchRatio> bench_ratios(at::Device device);

// Pairs of a query and a key that it sees, of one head.
double visible_pairs(const BenchCase& measured);

// Bytes that must move and operations that must be done, at the machine's rates.
struct Floor {
  double bytes_ms = 0, operations_ms = 0;
  double ms() const { return std::max(bytes_ms, operations_ms); }
};
Floor floor_of(const BenchCase& measured, const MachineRates& rates);

}  // namespace fovea::bench
