#include "core/attention/bench/bench_row.h"

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

namespace fovea::bench {
namespace {

std::string fixed(double value, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value;
  return text.str();
}

std::string milliseconds(double value) { return fixed(value, value < 10 ? 3 : 1); }
std::string median(const std::optional<Timing>& timing) { return timing ? milliseconds(timing->median_ms) : "-"; }

struct MeasuredRatio {
  const BenchRatio& ratio;
  double value;
};

std::vector<MeasuredRatio> measured_ratios(const std::vector<BenchRatio>& ratios, const std::vector<BenchRow>& rows) {
  const auto find = [&](const std::string& name) {
    return std::find_if(rows.begin(), rows.end(), [&](const BenchRow& row) { return row.measured.name == name; });
  };
  std::vector<MeasuredRatio> measured;
  for (const BenchRatio& ratio : ratios) {
    const auto numerator = find(ratio.numerator), denominator = find(ratio.denominator);
    if (numerator == rows.end() || denominator == rows.end() || !numerator->failure.empty() || !denominator->failure.empty()) continue;
    measured.push_back({ratio, numerator->ours.median_ms / denominator->ours.median_ms});
  }
  return measured;
}

nlohmann::json timing_json(const std::optional<Timing>& timing) {
  if (!timing) return nullptr;
  return {{"median_ms", timing->median_ms}, {"p10_ms", timing->p10_ms}, {"p90_ms", timing->p90_ms}, {"runs", timing->runs}};
}

template <class Value>
nlohmann::json optional_json(const std::optional<Value>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

nlohmann::json units_json(const std::optional<UnitUse>& units) {
  if (!units) return nullptr;
  return {{"median_ms", units->time.median_ms}, {"executed_pairs_per_head", units->executed_pairs},
          {"peak_multiply_adds_per_second", units->peak_per_second}, {"share_of_peak", units->share}};
}

void print_units(std::ostream& out, const BenchCase& measured, const UnitUse& units) {
  const double queries = static_cast<double>(measured.tokens());
  out << "    one thread: " << milliseconds(units.time.median_ms) << "; " << fixed(units.executed_pairs / queries, 0)
      << " keys a query executed, " << fixed(visible_pairs(measured) / queries, 0) << " of them seen; "
      << fixed(2e-9 * units.executed_pairs * static_cast<double>(measured.heads * measured.head_dim), 3) << "e9 multiply-adds, "
      << fixed(100 * units.share, 0) << "% of the units' " << fixed(units.peak_per_second / 1e9, 1) << "e9 a second\n" << std::flush;
}

nlohmann::json row_json(const BenchRow& row) {
  const BenchCase& measured = row.measured;
  if (!row.failure.empty()) return {{"case", measured.name}, {"failure", row.failure}, {"correct", false}};
  const std::optional<double> speed_up = row.dense ? std::optional(row.dense->median_ms / row.ours.median_ms) : std::nullopt;
  const std::optional<std::int64_t> extra_bytes = row.extra_bytes < 0 ? std::nullopt : std::optional(row.extra_bytes);
  return {{"case", measured.name}, {"backend", row.backend}, {"pass", measured.pass == Pass::kForward ? "forward" : "backward"},
          {"grid", measured.pattern.grid}, {"window", measured.pattern.window}, {"dilation", measured.pattern.dilation},
          {"global_tokens", measured.pattern.global_tokens}, {"heads", measured.heads}, {"head_dim", measured.head_dim},
          {"dtype", c10::toString(measured.dtype)}, {"visible_pairs_per_head", visible_pairs(measured)},
          {"floor_bytes_ms", row.floor.bytes_ms}, {"floor_operations_ms", row.floor.operations_ms}, {"floor_ms", row.floor.ms()},
          {"ours", timing_json(row.ours)}, {"torch_dense", timing_json(row.dense)}, {"torch_masked", timing_json(row.masked)},
          {"graph_replay", timing_json(row.graph)}, {"host_us", optional_json(row.host_us)},
          {"share_of_floor", row.floor.ms() / row.ours.median_ms}, {"speed_up", optional_json(speed_up)},
          {"extra_bytes", optional_json(extra_bytes)}, {"relative_error", row.error}, {"relative_error_bound", row.error_bound},
          {"one_thread", units_json(row.units)}, {"correct", row.correct()}};
}

}  // namespace

void print_header(std::ostream& out, const std::string& device, const Rates& rates) {
  out << device;
  for (const auto& [dtype, rate] : rates) {
    out << "; " << c10::toString(dtype) << " matrix product " << std::setprecision(4) << rate.operations_per_second / 1e12
        << " TFLOP/s, copy " << rate.bytes_per_second / 1e9 << " GB/s";
  }
  out << "\ntimes in ms: median (p10-p90); floor: of the bytes, of the useful operations; share: the larger floor / ours; speed-up: dense "
         "/ ours;\nhost: microseconds a call takes the host; graph: replayed from a CUDA graph\n\n"
      << std::left << std::setw(86) << "case" << std::setw(10) << "back end" << std::right << std::setw(8) << "bytes" << std::setw(8)
      << "operat." << std::setw(26) << "ours" << std::setw(7) << "share" << std::setw(9) << "dense" << std::setw(9) << "speed-up"
      << std::setw(9) << "masked" << std::setw(9) << "extra MB" << std::setw(6) << "host" << std::setw(8) << "graph" << "  result\n";
}

void print_row(std::ostream& out, const BenchRow& row) {
  if (!row.failure.empty()) {
    out << std::left << std::setw(86) << row.measured.name << "FAILED: " << row.failure << "\n" << std::flush;
    return;
  }
  const Timing& time = row.ours;
  const std::string ours = milliseconds(time.median_ms) + " (" + milliseconds(time.p10_ms) + "-" + milliseconds(time.p90_ms) + ")";
  out << std::left << std::setw(86) << row.measured.name << std::setw(10) << row.backend << std::right << std::setw(8)
      << milliseconds(row.floor.bytes_ms) << std::setw(8) << milliseconds(row.floor.operations_ms) << std::setw(26) << ours << std::setw(6)
      << fixed(100 * row.floor.ms() / time.median_ms, 0) << "%" << std::setw(9) << median(row.dense) << std::setw(9)
      << (row.dense ? fixed(row.dense->median_ms / time.median_ms, 1) : "-") << std::setw(9) << median(row.masked) << std::setw(9)
      << (row.extra_bytes < 0 ? "-" : fixed(static_cast<double>(row.extra_bytes) / 1e6, 1)) << std::setw(6)
      << (row.host_us ? fixed(*row.host_us, 0) : "-") << std::setw(8) << median(row.graph)
      << (row.correct() ? "  right" : "  WRONG, relative error " + fixed(row.error, 8) + ", at most " + fixed(row.error_bound, 8)) << "\n"
      << std::flush;
  if (row.units) print_units(out, row.measured, *row.units);
}

void print_ratios(std::ostream& out, const std::vector<BenchRatio>& ratios, const std::vector<BenchRow>& rows) {
  const std::vector<MeasuredRatio> measured = measured_ratios(ratios, rows);
  if (!measured.empty()) out << "\nratios of medians\n";
  for (const auto& [ratio, value] : measured) {
    out << fixed(value, 3) << " (at most " << fixed(ratio.bar, 2) << ")  " << ratio.numerator << "  /  " << ratio.denominator << "\n";
  }
}

nlohmann::json report_json(const std::string& device, const Rates& rates, const std::vector<BenchRatio>& ratios,
                           const std::vector<BenchRow>& rows) {
  nlohmann::json report{{"device", device}, {"cases", nlohmann::json::array()}, {"ratios", nlohmann::json::array()}};
  for (const auto& [dtype, rate] : rates) {
    report["rates"][c10::toString(dtype)] = {{"operations_per_second", rate.operations_per_second},
                                             {"bytes_per_second", rate.bytes_per_second}};
  }
  for (const BenchRow& row : rows) report["cases"].push_back(row_json(row));
  for (const auto& [ratio, value] : measured_ratios(ratios, rows)) {
    report["ratios"].push_back({{"case", ratio.numerator}, {"to", ratio.denominator}, {"value", value}, {"bar", ratio.bar}});
  }
  return report;
}

}  // namespace fovea::bench
