// One measured case, and how it is told: a line of a table, an object of JSON.
#pragma once

#include <iosfwd>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/attention/bench/bench_cases.h"

namespace fovea::bench {

// The "cpu" back end in float32 on one thread, against what the multiply-add units can do at best.
struct UnitUse {
  Timing time;
  double executed_pairs = 0;   // of one head: pairs of query and key whose products are computed, hidden and padding ones included
  double peak_per_second = 0;  // multiply-adds
  double share = 0;
};

struct BenchRow {
  BenchCase measured;
  std::string backend;                  // that ran
  std::string failure;                  // why there are no numbers
  double error = 0, error_bound = 0;    // relative, in the Euclidean norm
  Floor floor;
  Timing ours;
  std::optional<Timing> dense, masked;  // torch's attention: without, with the window as a mask
  std::optional<double> host_us;        // what a call costs the host
  std::optional<Timing> graph;          // ours, replayed from a CUDA graph
  std::optional<UnitUse> units;
  std::int64_t extra_bytes = -1;
  bool correct() const { return failure.empty() && error <= error_bound; }   // false for NaN
};

using Rates = std::map<at::ScalarType, MachineRates>;

void print_header(std::ostream& out, const std::string& device, const Rates& rates);
void print_row(std::ostream& out, const BenchRow& row);
// The ratios whose two cases were measured, against their bars.
void print_ratios(std::ostream& out, const std::vector<BenchRatio>& ratios, const std::vector<BenchRow>& rows);

nlohmann::json report_json(const std::string& device, const Rates& rates, const std::vector<BenchRatio>& ratios,
                           const std::vector<BenchRow>& rows);

}  // namespace fovea::bench
