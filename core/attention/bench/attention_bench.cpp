#include "core/attention/bench/attention_bench.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <c10/core/StreamGuard.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "core/attention/bench/bench_clock.h"
#include "core/attention/bench/bench_row.h"
#include "core/attention/bench/graph_capture.h"
#include "core/base/error.h"
#include "core/base/torch_runtime.h"
#include "kernels/attention_cpu.h"

namespace fovea {
namespace {

using bench::BenchCase;
using bench::BenchClock;
using bench::BenchRow;
using bench::Pass;
using bench::Timing;

// Beyond these, torch's ways take minutes or more memory than the machine has.
struct TorchLimits {
  double dense_operations;
  std::int64_t masked_tokens;
};
TorchLimits torch_limits(at::Device device) { return device.is_cpu() ? TorchLimits{3e11, 8192} : TorchLimits{3e14, 70000}; }

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
// the weights from the lse, whose own size, about 8, multiplies its error. Tensor cores cut their sums instead of rounding them, by up to
// two units a step of eight terms and always towards zero, so that over a score's D terms and a row's keys it adds up.
double error_bound(const BenchCase& measured, bool cuts_sums) {
  const bool wide = measured.dtype == at::kFloat;
  const auto keys = static_cast<double>(measured.pattern.global_tokens + measured.pattern.window[0] * measured.pattern.window[1]);
  const double cut = cuts_sums ? 2 * 3.0 / 8 * (static_cast<double>(measured.head_dim) + keys) : 0;
  const double steps = wide ? 4 + std::sqrt(static_cast<double>(measured.head_dim)) + cut : 4;
  return steps * (wide ? 0x1p-24 : 0x1p-8) * (wide && measured.pass == Pass::kBackward ? 8 : 1);
}

// Against the reference in float32 on the same numbers.
void check(BenchRow& row, const Inputs& inputs, const std::string& backend) {
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
  row.error_bound = error_bound(row.measured, inputs.query.is_cuda());
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

// Nothing where it wants more memory than the device has.
std::optional<Timing> measure_torch_if_it_fits(const BenchCase& measured, const Inputs& inputs, bool masked, const BenchClock& clock) {
  try {
    return measure_torch(measured, inputs, masked ? window_mask(measured, inputs.query.device()) : at::Tensor(), clock);
  } catch (const c10::OutOfMemoryError&) {
    return std::nullopt;
  }
}

Timing measure_ours(BenchRow& row, const Inputs& inputs, const BenchClock& clock) {
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
bench::UnitUse measure_units(const BenchCase& measured, const Inputs& inputs, const BenchClock& clock) {
  const AttentionPattern& pattern = measured.pattern;
  const auto dilation = static_cast<std::int32_t>(pattern.dilation[0]);
  const kernels::AttentionShape one_head{.batch = 1, .grid_height = pattern.grid[0], .grid_width = pattern.grid[1], .heads = 1,
                                         .head_dim = static_cast<int>(measured.head_dim),
                                         .global_tokens = static_cast<int>(pattern.global_tokens),
                                         .window_height = static_cast<int>(pattern.window[0]),
                                         .window_width = static_cast<int>(pattern.window[1]), .dilation = &dilation};
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  bench::UnitUse use{.time = clock.measure([&] { attend(measured, inputs); }), .executed_pairs = kernels::cpu::executed_pairs(one_head),
              .peak_per_second = kernels::cpu::peak_multiply_adds_per_second()};
  at::set_num_threads(threads);
  const double multiply_adds = use.executed_pairs * static_cast<double>(measured.heads * measured.head_dim) * 2;
  use.share = multiply_adds / use.peak_per_second / (use.time.median_ms / 1e3);
  return use;
}

// The same numbers come out of a replayed graph, bit for bit, or the row is wrong.
Timing measure_graph(BenchRow& row, const Inputs& inputs, const BenchClock& clock) {
  at::Tensor captured;
  const bench::CapturedGraph graph(inputs.query.device(), [&] { captured = attend(row.measured, inputs); });
  const c10::StreamGuard guard(graph.stream());
  captured.fill_(std::nan(""));
  graph.replay();
  if (!at::equal(captured, attend(row.measured, inputs))) row.error = std::nan("");
  return clock.measure([&] { graph.replay(); });
}

void measure(BenchRow& row, at::Device device, const BenchClock& clock, const bench::MachineRates& rates, const std::string& forced) {
  const BenchCase& measured = row.measured;
  const std::string backend = measured.backend.empty() ? forced : measured.backend;
  const Inputs inputs = make_inputs(measured, device);
  force_attention_backend(backend);
  check(row, inputs, backend);
  row.floor = bench::floor_of(measured, rates);
  row.ours = measure_ours(row, inputs, clock);
  if (device.is_cuda() && measured.pass == Pass::kForward) {
    row.host_us = clock.host_us([&] { attend(measured, inputs); });
    row.graph = measure_graph(row, inputs, clock);
  }
  if (!measured.backend.empty()) return;   // torch's ways are in the row of the back end that the operator chose
  const double tokens = static_cast<double>(measured.tokens()), width = static_cast<double>(measured.heads * measured.head_dim);
  const double dense_operations = 4 * tokens * tokens * width * (measured.pass == Pass::kForward ? 1 : 2.5);
  const TorchLimits limits = torch_limits(device);
  if (dense_operations <= limits.dense_operations) row.dense = measure_torch_if_it_fits(measured, inputs, false, clock);
  if (row.backend == "cpu" && measured.dtype == at::kFloat && measured.pass == Pass::kForward) {
    row.units = measure_units(measured, inputs, clock);
  }
  if (measured.tokens() <= limits.masked_tokens) row.masked = measure_torch_if_it_fits(measured, inputs, true, clock);
}

// A case that cannot be measured is a row that says why; the others follow.
BenchRow measured_row(const BenchCase& measured, at::Device device, const BenchClock& clock, const bench::MachineRates& rates,
                      const std::string& forced) {
  BenchRow row;
  row.measured = measured;
  try {
    measure(row, device, clock, rates, forced);
  } catch (const c10::Error& error) {
    row.failure = error.what_without_backtrace();
    row.failure.resize(std::min(row.failure.size(), row.failure.find('\n')));
  }
  return row;
}

// "cuda:0 (NVIDIA H100 80GB HBM3)"
std::string device_name(at::Device device) {
  return device.is_cuda() ? device.str() + " (" + bench::gpu_name(device) + ")" : device.str();
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
  bench::Rates rates;
  std::vector<BenchCase> cases = bench::bench_cases(device);
  std::erase_if(cases, [&](const BenchCase& measured) {
    const bool contradicts = !options.backend.empty() && !measured.backend.empty() && measured.backend != options.backend;
    return contradicts || measured.name.find(options.only) == std::string::npos;
  });
  for (const BenchCase& measured : cases) {
    if (!rates.contains(measured.dtype)) rates[measured.dtype] = bench::measure_rates(clock, device, measured.dtype);
  }
  const std::string name = "device " + device_name(device);
  if (options.format == BenchFormat::kTable) print_header(out, name, rates);
  std::vector<BenchRow> rows;
  int wrong = 0;
  for (const BenchCase& measured : cases) {
    rows.push_back(measured_row(measured, device, clock, rates[measured.dtype], options.backend));
    wrong += rows.back().correct() ? 0 : 1;
    if (options.format == BenchFormat::kTable) print_row(out, rows.back());
  }
  force_attention_backend("");
  const std::vector<bench::BenchRatio> ratios = bench::bench_ratios(device);
  if (options.format == BenchFormat::kTable) print_ratios(out, ratios, rows);
  else out << report_json(name, rates, ratios, rows).dump(2) << "\n";
  return wrong;
}

}  // namespace fovea
