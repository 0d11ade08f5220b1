#include "core/attention/bench/attention_bench.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <iomanip>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "core/attention/bench/bench_cases.h"
#include "core/attention/bench/bench_clock.h"
#include "core/base/error.h"
#include "core/base/torch_runtime.h"
#include "kernels/attention_cpu.h"

namespace fovea {
namespace {

using bench::BenchCase;
using bench::BenchClock;
using bench::Pass;
using bench::Timing;

// Beyond these, torch's ways take minutes or more memory than the machine has.
constexpr double kMaxDenseOperations = 3e13, kMaxDenseOperationsCpu = 3e11;
constexpr std::int64_t kMaxMaskedTokens = 8192;

// The "cpu" back end in float32 on one thread, against what the multiply-add units can do at best.
struct UnitUse {
  Timing time;
  double executed_pairs = 0;   // of one head: pairs of query and key whose products are computed, hidden and padding ones included
  double peak_per_second = 0;  // multiply-adds
  double share = 0;
};

struct Row {
  explicit Row(const BenchCase& bench_case) : measured(bench_case) {}
  const BenchCase& measured;
  std::string backend;
  double error = 0, error_bound = 0;   // relative, in the Euclidean norm
  double floor_ms = 0;
  Timing ours;
  std::optional<Timing> dense, masked;
  std::optional<UnitUse> units;
  std::int64_t extra_bytes = -1;
  bool correct() const { return error <= error_bound; }   // false for NaN
};

struct Inputs {
  at::Tensor query, key, value, grad_output;
};

Inputs make_inputs(const BenchCase& measured, at::Device device) {
  at::manual_seed(1);
  const auto options = at::TensorOptions(device).dtype(measured.dtype);
  const at::Tensor packed = at::randn({1, measured.tokens(), 3, measured.heads, measured.head_dim}, options);
  Inputs inputs{packed.select(2, 0), packed.select(2, 1), packed.select(2, 2),
                at::randn({1, measured.tokens(), measured.heads, measured.head_dim}, options)};
  if (measured.pass == Pass::kBackward) {
    for (at::Tensor* tensor : {&inputs.query, &inputs.key, &inputs.value}) *tensor = tensor->detach().requires_grad_(true);
  }
  return inputs;
}

at::Tensor attend(const BenchCase& measured, const Inputs& inputs) {
  return local_global_attention(inputs.query, inputs.key, inputs.value, measured.pattern).output;
}

// What one run computes: the output, or the gradient of the query (with those of key and value).
at::Tensor result_of(const BenchCase& measured, const Inputs& inputs) {
  const at::Tensor output = attend(measured, inputs);
  if (measured.pass == Pass::kForward) return output;
  return torch::autograd::grad({output}, {inputs.query, inputs.key, inputs.value}, {inputs.grad_output})[0];
}

// Roundings of one result, relative to it: weights and result in 16 bits; in float32 also a chain of D of random sign. Gradients rebuild
// the weights from the lse, whose own size, about 8, multiplies its error.
double error_bound(const BenchCase& measured) {
  const bool wide = measured.dtype == at::kFloat;
  const double steps = wide ? 4 + std::sqrt(static_cast<double>(measured.head_dim)) : 4;
  return steps * (wide ? 0x1p-24 : 0x1p-8) * (wide && measured.pass == Pass::kBackward ? 8 : 1);
}

// Against the reference in float32 on the same numbers.
void check(Row& row, const Inputs& inputs, const std::string& backend) {
  const at::Tensor actual = result_of(row.measured, inputs).to(at::kFloat);
  row.backend = last_attention_backend();
  force_attention_backend("reference");
  const auto wide = [&](const at::Tensor& tensor) {
    return tensor.detach().to(at::kFloat).requires_grad_(row.measured.pass == Pass::kBackward);
  };
  const at::Tensor expected =
      result_of(row.measured, {wide(inputs.query), wide(inputs.key), wide(inputs.value), inputs.grad_output.to(at::kFloat)});
  force_attention_backend(backend);
  row.error = ((actual - expected).norm() / expected.norm()).item<double>();
  row.error_bound = error_bound(row.measured);
}

at::Tensor window_mask(const BenchCase& measured, at::Device device) {
  const AttentionPattern& pattern = measured.pattern;
  const auto visible = [&](std::int64_t side, std::int64_t window) {
    const at::Tensor position = at::arange(side, at::TensorOptions(device).dtype(at::kLong));
    const at::Tensor distance = (position.unsqueeze(1) - position.unsqueeze(0)).abs();
    return (distance <= (window - 1) / 2 * pattern.dilation[0]).logical_and(distance.remainder(pattern.dilation[0]) == 0);
  };
  const std::int64_t in_grid = pattern.grid[0] * pattern.grid[1];
  const at::Tensor local = visible(pattern.grid[0], pattern.window[0]).unsqueeze(1).unsqueeze(3)
                               .logical_and(visible(pattern.grid[1], pattern.window[1]).unsqueeze(0).unsqueeze(2));
  return at::constant_pad_nd(local.reshape({in_grid, in_grid}), {pattern.global_tokens, 0, pattern.global_tokens, 0}, 1);
}

// Torch's own attention in the same pass; mask undefined: dense.
Timing measure_torch(const BenchCase& measured, const Inputs& inputs, const at::Tensor& mask, const BenchClock& clock) {
  const auto by_head = [](const at::Tensor& tensor) { return tensor.transpose(1, 2); };
  const auto forward = [&] {
    return at::scaled_dot_product_attention(by_head(inputs.query), by_head(inputs.key), by_head(inputs.value),
                                            mask.defined() ? std::optional(mask) : std::nullopt);
  };
  if (measured.pass == Pass::kForward) return clock.measure([&] { forward(); });
  const at::Tensor output = forward();
  return clock.measure([&] {
    torch::autograd::grad({output}, {inputs.query, inputs.key, inputs.value}, {by_head(inputs.grad_output)}, /*retain_graph=*/true);
  });
}

Timing measure_ours(Row& row, const Inputs& inputs, const BenchClock& clock) {
  if (row.measured.pass == Pass::kForward) {
    const auto run = [&] { attend(row.measured, inputs); };
    row.extra_bytes = clock.peak_extra_bytes(run);
    // The output itself is no extra.
    if (row.extra_bytes >= 0) row.extra_bytes -= inputs.grad_output.numel() * inputs.grad_output.element_size();
    return clock.measure(run);
  }
  const at::Tensor output = attend(row.measured, inputs);
  const auto run = [&] {
    torch::autograd::grad({output}, {inputs.query, inputs.key, inputs.value}, {inputs.grad_output}, /*retain_graph=*/true);
  };
  row.extra_bytes = clock.peak_extra_bytes(run);
  if (row.extra_bytes >= 0) row.extra_bytes -= 3 * inputs.grad_output.numel() * inputs.grad_output.element_size();
  return clock.measure(run);
}

// Each executed pair costs head_dim multiply-adds for its score and as many for the weighted value.
UnitUse measure_units(const BenchCase& measured, const Inputs& inputs, const BenchClock& clock) {
  const AttentionPattern& pattern = measured.pattern;
  const auto dilation = static_cast<std::int32_t>(pattern.dilation[0]);
  const kernels::AttentionShape one_head{.batch = 1, .grid_height = pattern.grid[0], .grid_width = pattern.grid[1], .heads = 1,
                                         .head_dim = static_cast<int>(measured.head_dim),
                                         .global_tokens = static_cast<int>(pattern.global_tokens),
                                         .window_height = static_cast<int>(pattern.window[0]),
                                         .window_width = static_cast<int>(pattern.window[1]), .dilation = &dilation};
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  UnitUse use{.time = clock.measure([&] { attend(measured, inputs); }), .executed_pairs = kernels::cpu::executed_pairs(one_head),
              .peak_per_second = kernels::cpu::peak_multiply_adds_per_second()};
  at::set_num_threads(threads);
  const double multiply_adds = use.executed_pairs * static_cast<double>(measured.heads * measured.head_dim) * 2;
  use.share = multiply_adds / use.peak_per_second / (use.time.median_ms / 1e3);
  return use;
}

Row measure(const BenchCase& measured, at::Device device, const BenchClock& clock, const bench::MachineRates& rates,
            const std::string& backend) {
  Row row(measured);
  const Inputs inputs = make_inputs(measured, device);
  check(row, inputs, backend);
  row.floor_ms = bench::floor_ms(measured, rates);
  row.ours = measure_ours(row, inputs, clock);
  const double tokens = static_cast<double>(measured.tokens()), width = static_cast<double>(measured.heads * measured.head_dim);
  const double dense_operations = 4 * tokens * tokens * width * (measured.pass == Pass::kForward ? 1 : 2.5);
  if (dense_operations <= (device.is_cpu() ? kMaxDenseOperationsCpu : kMaxDenseOperations)) {
    row.dense = measure_torch(measured, inputs, {}, clock);
  }
  if (row.backend == "cpu" && measured.dtype == at::kFloat && measured.pass == Pass::kForward) {
    row.units = measure_units(measured, inputs, clock);
  }
  if (measured.tokens() <= kMaxMaskedTokens) row.masked = measure_torch(measured, inputs, window_mask(measured, device), clock);
  return row;
}

void print_header(std::ostream& out, at::Device device, const std::map<at::ScalarType, bench::MachineRates>& rates) {
  out << "device " << device.str();
  for (const auto& [dtype, rate] : rates) {
    out << "; " << c10::toString(dtype) << " matrix product " << std::setprecision(4) << rate.operations_per_second / 1e12
        << " TFLOP/s, copy " << rate.bytes_per_second / 1e9 << " GB/s";
  }
  out << "\ntimes in ms: median (p10-p90); share: floor / ours; speed-up: dense / ours\n\n"
      << std::left << std::setw(78) << "case" << std::setw(11) << "back end" << std::right << std::setw(9) << "floor" << std::setw(27)
      << "ours" << std::setw(8) << "share" << std::setw(11) << "dense" << std::setw(10) << "speed-up" << std::setw(11) << "masked"
      << std::setw(11) << "extra MB" << "  result\n";
}

void print_row(std::ostream& out, const Row& row) {
  const auto milliseconds = [](double value) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(value < 10 ? 3 : 1) << value;
    return text.str();
  };
  const auto fixed = [](double value, int digits) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(digits) << value;
    return text.str();
  };
  const Timing& time = row.ours;
  const std::string ours = milliseconds(time.median_ms) + " (" + milliseconds(time.p10_ms) + "-" + milliseconds(time.p90_ms) + ")";
  out << std::left << std::setw(78) << row.measured.name << std::setw(11) << row.backend << std::right << std::setw(9)
      << milliseconds(row.floor_ms) << std::setw(27) << ours << std::setw(7) << fixed(100 * row.floor_ms / row.ours.median_ms, 0) << "%"
      << std::setw(11) << (row.dense ? milliseconds(row.dense->median_ms) : "-") << std::setw(10)
      << (row.dense ? fixed(row.dense->median_ms / row.ours.median_ms, 1) : "-") << std::setw(11)
      << (row.masked ? milliseconds(row.masked->median_ms) : "-") << std::setw(11)
      << (row.extra_bytes < 0 ? "-" : fixed(static_cast<double>(row.extra_bytes) / 1e6, 1))
      << (row.correct() ? "  right" : "  WRONG, relative error " + fixed(row.error, 8) + ", at most " + fixed(row.error_bound, 8)) << "\n"
      << std::flush;
  if (!row.units) return;
  const double queries = static_cast<double>(row.measured.tokens());
  out << "    one thread: " << milliseconds(row.units->time.median_ms) << "; " << fixed(row.units->executed_pairs / queries, 0)
      << " keys a query executed, " << fixed(bench::visible_pairs(row.measured) / queries, 0) << " of them seen; "
      << fixed(2e-9 * row.units->executed_pairs * static_cast<double>(row.measured.heads * row.measured.head_dim), 3)
      << "e9 multiply-adds, " << fixed(100 * row.units->share, 0) << "% of the units' " << fixed(row.units->peak_per_second / 1e9, 1)
      << "e9 a second\n" << std::flush;
}

nlohmann::json units_json(const std::optional<UnitUse>& units) {
  if (!units) return nullptr;
  return {{"median_ms", units->time.median_ms}, {"executed_pairs_per_head", units->executed_pairs},
          {"peak_multiply_adds_per_second", units->peak_per_second}, {"share_of_peak", units->share}};
}

nlohmann::json timing_json(const std::optional<Timing>& timing) {
  if (!timing) return nullptr;
  return {{"median_ms", timing->median_ms}, {"p10_ms", timing->p10_ms}, {"p90_ms", timing->p90_ms}, {"runs", timing->runs}};
}

nlohmann::json row_json(const Row& row) {
  const BenchCase& measured = row.measured;
  return {{"case", measured.name}, {"backend", row.backend}, {"pass", measured.pass == Pass::kForward ? "forward" : "backward"},
          {"grid", measured.pattern.grid}, {"window", measured.pattern.window}, {"dilation", measured.pattern.dilation},
          {"global_tokens", measured.pattern.global_tokens}, {"heads", measured.heads}, {"head_dim", measured.head_dim},
          {"dtype", c10::toString(measured.dtype)}, {"visible_pairs_per_head", bench::visible_pairs(measured)},
          {"floor_ms", row.floor_ms}, {"ours", timing_json(row.ours)}, {"torch_dense", timing_json(row.dense)},
          {"torch_masked", timing_json(row.masked)}, {"share_of_floor", row.floor_ms / row.ours.median_ms},
          {"speed_up", row.dense ? nlohmann::json(row.dense->median_ms / row.ours.median_ms) : nlohmann::json(nullptr)},
          {"extra_bytes", row.extra_bytes < 0 ? nlohmann::json(nullptr) : nlohmann::json(row.extra_bytes)},
          {"one_thread", units_json(row.units)},
          {"relative_error", row.error}, {"relative_error_bound", row.error_bound}, {"correct", row.correct()}};
}

at::Device choose_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  const std::string& reason = load_torch_cuda();
  if (name == "auto") return reason.empty() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  if (name.rfind("cuda", 0) != 0) throw Error(ErrorKind::kUsage, "device \"" + name + "\": expected auto, cpu, cuda or cuda:INDEX");
  if (!reason.empty()) throw Error(ErrorKind::kEnvironment, "device \"" + name + "\": " + reason);
  return name == "cuda" ? at::Device(at::kCUDA, 0) : at::Device(name);
}

}  // namespace

int run_attention_bench(const AttentionBenchOptions& options, std::ostream& out) {
  const at::Device device = choose_device(options.device);
  const c10::DeviceGuard guard(device);
  const BenchClock clock(device, options.seconds_per_case);
  force_attention_backend(options.backend);
  std::map<at::ScalarType, bench::MachineRates> rates;
  std::vector<BenchCase> cases = bench::bench_cases(device);
  std::erase_if(cases, [&](const BenchCase& measured) { return measured.name.find(options.only) == std::string::npos; });
  for (const BenchCase& measured : cases) {
    if (!rates.contains(measured.dtype)) rates[measured.dtype] = bench::measure_rates(clock, device, measured.dtype);
  }
  if (options.format == BenchFormat::kTable) print_header(out, device, rates);
  nlohmann::json report{{"device", device.str()}, {"cases", nlohmann::json::array()}};
  for (const auto& [dtype, rate] : rates) {
    report["rates"][c10::toString(dtype)] = {{"operations_per_second", rate.operations_per_second},
                                             {"bytes_per_second", rate.bytes_per_second}};
  }
  int wrong = 0;
  for (const BenchCase& measured : cases) {
    const Row row = measure(measured, device, clock, rates[measured.dtype], options.backend);
    wrong += row.correct() ? 0 : 1;
    if (options.format == BenchFormat::kTable) print_row(out, row);
    report["cases"].push_back(row_json(row));
  }
  force_attention_backend("");
  if (options.format == BenchFormat::kJson) out << report.dump(2) << "\n";
  return wrong;
}

}  // namespace fovea
