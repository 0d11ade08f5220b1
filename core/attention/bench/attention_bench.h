// What the operator costs on this machine, against what it could cost at best and against torch: `fovea bench attention`.
#pragma once

#include <iosfwd>
#include <string>

namespace fovea {

enum class BenchFormat { kTable, kJson };

struct AttentionBenchOptions {
  std::string device = "auto";    // "cpu", "cuda", "cuda:1"; "auto": the first GPU, else the CPU
  std::string backend = {};       // forces one back end; "" leaves the choice to the operator
  std::string only = {};          // runs the cases whose names contain this
  double seconds_per_case = 2.0;  // time spent on repeating each measurement
  BenchFormat format = BenchFormat::kTable;
};

// Checks each case's result against the reference, then measures: medians with p10 and p90, caches flushed before every run. Torch's
// dense attention, and its attention with the window as a mask, are measured where their scores or masks stay reasonable. The floor of a
// case is the larger of its bytes at this machine's copy bandwidth and its useful operations at the speed of torch's matrix product.
// Returns the number of cases whose result was wrong. Errors: Error{kUsage} for a device or back end that is not there.
int run_attention_bench(const AttentionBenchOptions& options, std::ostream& out);

}  // namespace fovea
