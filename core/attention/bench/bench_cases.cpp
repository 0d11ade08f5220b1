#include "core/attention/bench/bench_cases.h"

#include <algorithm>

namespace fovea::bench {
namespace {

struct Variation {
  std::int64_t side = 256, window = 17, heads = 12, head_dim = 64, dilation = 1, globals = 8;
  at::ScalarType dtype = at::kBFloat16;
  Pass pass = Pass::kForward;
};

BenchCase make_case(const Variation& given) {
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  const std::string grid = number(given.side) + "x" + number(given.side);
  const std::string name = grid + " window " + number(given.window) + " heads " + number(given.heads) + "x" + number(given.head_dim) +
                           " dilation " + number(given.dilation) + " globals " + number(given.globals) +
                           (given.dtype == at::kFloat ? " float32" : " bfloat16") +
                           (given.pass == Pass::kForward ? " forward" : " backward");
  return {.name = name, .pattern = {.grid = {given.side, given.side}, .global_tokens = given.globals,
                                    .window = {given.window, given.window}, .dilation = {given.dilation}},
          .heads = given.heads, .head_dim = given.head_dim, .dtype = given.dtype, .pass = given.pass};
}

// Pairs (a, b) of positions along one side with |a - b| <= reach * dilation and a - b a multiple of the dilation.
double visible_along(std::int64_t side, std::int64_t window, std::int64_t dilation) {
  double pairs = static_cast<double>(side);
  for (std::int64_t step = 1; step <= (window - 1) / 2 && step * dilation < side; ++step) {
    pairs += 2.0 * static_cast<double>(side - step * dilation);
  }
  return pairs;
}

}  // namespace

std::vector<BenchCase> bench_cases(at::Device device) {
  std::vector<Variation> variations;
  if (device.is_cpu()) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      variations.push_back({.side = 64, .heads = 6, .dtype = dtype});
      variations.push_back({.side = 128, .heads = 1, .dtype = dtype});
      variations.push_back({.side = 64, .heads = 6, .dtype = dtype, .pass = Pass::kBackward});
    }
  } else {
    variations = {{}, {.side = 512}, {.heads = 6, .head_dim = 128}, {.window = 33}, {.pass = Pass::kBackward}, {.side = 64},
                  {.dilation = 2}, {.dilation = 4}, {.globals = 0}, {.globals = 0, .pass = Pass::kBackward}, {.side = 1024}};
  }
  std::vector<BenchCase> cases;
  for (const Variation& variation : variations) cases.push_back(make_case(variation));
  return cases;
}

double visible_pairs(const BenchCase& measured) {
  const AttentionPattern& pattern = measured.pattern;
  const double in_grid = visible_along(pattern.grid[0], pattern.window[0], pattern.dilation[0]) *
                         visible_along(pattern.grid[1], pattern.window[1], pattern.dilation[0]);
  const auto tokens = static_cast<double>(measured.tokens()), globals = static_cast<double>(pattern.global_tokens);
  return in_grid + globals * (tokens - globals) + globals * tokens;
}

double floor_ms(const BenchCase& measured, const MachineRates& rates) {
  // Forward reads q, k, v and writes the output: two matrix products. Backward reads q, k, v, output and its gradient and writes three
  // gradients: five products.
  const bool forward = measured.pass == Pass::kForward;
  const double numbers = static_cast<double>(measured.tokens() * measured.heads * measured.head_dim) * (forward ? 4 : 8);
  const double lse_bytes = 4.0 * static_cast<double>(measured.tokens() * measured.heads);
  const double bytes = numbers * static_cast<double>(c10::elementSize(measured.dtype)) + lse_bytes;
  const double operations = visible_pairs(measured) * static_cast<double>(measured.heads * measured.head_dim) * 2 * (forward ? 2 : 5);
  return 1e3 * std::max(bytes / rates.bytes_per_second, operations / rates.operations_per_second);
}

}  // namespace fovea::bench
