#include "core/attention/bench/bench_cases.h"

#include <algorithm>

namespace fovea::bench {
namespace {

struct Variation {
  std::int64_t side = 256, window = 17, heads = 12, head_dim = 64, dilation = 1, globals = 8;
  at::ScalarType dtype = at::kBFloat16;
  Pass pass = Pass::kForward;
  std::string backend = {};
};

std::string type_name(at::ScalarType dtype) {
  return dtype == at::kFloat ? "float32" : dtype == at::kHalf ? "float16" : "bfloat16";
}

std::string name_of(const Variation& given) {
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  const std::string grid = number(given.side) + "x" + number(given.side);
  return grid + " window " + number(given.window) + " heads " + number(given.heads) + "x" + number(given.head_dim) + " dilation " +
         number(given.dilation) + " globals " + number(given.globals) + " " + type_name(given.dtype) +
         (given.pass == Pass::kForward ? " forward" : " backward") + (given.backend.empty() ? "" : " by " + given.backend);
}

BenchCase make_case(const Variation& given) {
  return {.name = name_of(given), .pattern = {.grid = {given.side, given.side}, .global_tokens = given.globals,
                                              .window = {given.window, given.window}, .dilation = {given.dilation}},
          .heads = given.heads, .head_dim = given.head_dim, .dtype = given.dtype, .pass = given.pass, .backend = given.backend};
}

// What the GPU measures in one pass.
std::vector<Variation> gpu_variations() {
  return {{}, {.side = 512}, {.heads = 6, .head_dim = 128}, {.window = 33}, {.side = 64}, {.dilation = 2}, {.dilation = 4}, {.globals = 0}};
}

std::vector<Variation> variations_of(at::Device device) {
  std::vector<Variation> variations;
  if (device.is_cpu()) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      variations.push_back({.side = 64, .heads = 6, .dtype = dtype});
      variations.push_back({.side = 128, .heads = 1, .dtype = dtype});
      variations.push_back({.side = 64, .heads = 6, .dtype = dtype, .pass = Pass::kBackward});
    }
    return variations;
  }
  // The choice of the operator, then sm80, which every GPU since Ampere can run, by force.
  for (const std::string backend : {"", "sm80"}) {
    for (const Pass pass : {Pass::kForward, Pass::kBackward}) {
      for (Variation variation : gpu_variations()) {
        variation.pass = pass;
        variation.backend = backend;
        variations.push_back(variation);
      }
    }
    if (backend.empty()) {
      variations.push_back({.side = 1024});
      variations.push_back({.dtype = at::kHalf});
      variations.push_back({.dtype = at::kFloat});
    }
  }
  return variations;
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
  std::vector<BenchCase> cases;
  for (const Variation& variation : variations_of(device)) cases.push_back(make_case(variation));
  return cases;
}

std::vector<BenchRatio> bench_ratios(at::Device device) {
  std::vector<BenchRatio> ratios;
  if (device.is_cpu()) return ratios;
  for (const std::string backend : {"", "sm80"}) {
    for (const Pass pass : {Pass::kForward, Pass::kBackward}) {
      const auto with = [&](Variation variation) {
        variation.pass = pass;
        variation.backend = backend;
        return name_of(variation);
      };
      for (const std::int64_t dilation : {2, 4}) ratios.push_back({with({.dilation = dilation}), with({}), 1.15});
      ratios.push_back({with({}), with({.globals = 0}), 1.10});
    }
  }
  for (const Pass pass : {Pass::kForward, Pass::kBackward}) {
    ratios.push_back({name_of({.pass = pass, .backend = "sm80"}), name_of({.pass = pass}), 2.5});
  }
  ratios.push_back({name_of({.side = 1024}), name_of({.side = 512}), 4.2});
  return ratios;
}

double visible_pairs(const BenchCase& measured) {
  const AttentionPattern& pattern = measured.pattern;
  const double in_grid = visible_along(pattern.grid[0], pattern.window[0], pattern.dilation[0]) *
                         visible_along(pattern.grid[1], pattern.window[1], pattern.dilation[0]);
  const auto tokens = static_cast<double>(measured.tokens()), globals = static_cast<double>(pattern.global_tokens);
  return in_grid + globals * (tokens - globals) + globals * tokens;
}

Floor floor_of(const BenchCase& measured, const MachineRates& rates) {
  // Forward reads q, k, v and writes the output: two matrix products. Backward reads q, k, v, output and its gradient and writes three
  // gradients: five products.
  const bool forward = measured.pass == Pass::kForward;
  const double numbers = static_cast<double>(measured.tokens() * measured.heads * measured.head_dim) * (forward ? 4 : 8);
  const double lse_bytes = 4.0 * static_cast<double>(measured.tokens() * measured.heads);
  const double bytes = numbers * static_cast<double>(c10::elementSize(measured.dtype)) + lse_bytes;
  const double operations = visible_pairs(measured) * static_cast<double>(measured.heads * measured.head_dim) * 2 * (forward ? 2 : 5);
  return {.bytes_ms = 1e3 * bytes / rates.bytes_per_second, .operations_ms = 1e3 * operations / rates.operations_per_second};
}

}  // namespace fovea::bench
