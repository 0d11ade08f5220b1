// fovea_bench_analysis [SIDE [GLOBALS [DEVICE [RESIDENT]]]]: times rows, columns and rollouts on a grid of SIDE x SIDE tokens (default 2048: a
// gigapixel at patch 16), 12 layers of 6 heads of 64 channels in bfloat16, window 17 x 17. RESIDENT layers are in memory (default 1) and take
// turns as the twelve: twelve would be 77 GB at that size. Every result is checked before it is timed: rows and rollouts must sum to one.
//
// Floor: 2 * 64 operations for each score that is asked for, at the peak of plain float32 arithmetic on the CPU (measured here, on as many
// threads), at 989 TFLOP/s of dense bfloat16 on a GPU (H100); exponentials and everything else count nothing.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "core/attention/analysis/attention_products.h"
#include "core/attention/analysis/rollout.h"
#include "core/attention/analysis/rows.h"
#include "core/base/torch_runtime.h"
#include "tests/bench/analysis/random_layers.h"

namespace {

using namespace fovea::analysis;
using namespace fovea::analysis::bench;

double milliseconds(const std::function<TokenMap()>& work, int repeats) {
  double best = 1e300;
  for (int i = 0; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const auto result = work();
    result.values.sum().item<float>();   // a GPU has finished when a number is here
    best = std::min(best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

// What this machine's float32 arithmetic gives: a product of matrices that fit into its caches.
double peak_flops(const at::Device& device) {
  if (device.is_cuda()) return 989e12;
  const auto a = at::randn({1024, 1024}), b = at::randn({1024, 1024});
  double best = 1e300;
  for (int i = 0; i < 20; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    at::mm(a, b);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return 2.0 * 1024 * 1024 * 1024 / best;
}

void check_sum(const TokenMap& map, const char* what) {
  const double sum = map.grid_total() + map.global_total();
  if (std::abs(sum - 1) <= 1e-5) return;
  std::fprintf(stderr, "%s: sums to %.9f, expected 1\n", what, sum);
  std::exit(1);
}

struct Bench {
  std::int64_t side, globals;
  at::Device device;
  double flops;
  std::vector<AttentionLayer> layers;
  LayerStack stack() { return {kDepth, [this](std::int64_t l) { return layers[static_cast<std::size_t>(l) % layers.size()]; }}; }

  // rows: queries whose scores the answer needs.
  void print(const char* what, double time_ms, double bar_ms, double rows) const {
    const double floor_ms = rows * static_cast<double>(kWindow * kWindow + globals) * kHeads * kHeadDim * 2 / flops * 1e3;
    std::printf("%-46s %11.2f ms   bar %6.0f ms   ratio %7.2f   floor %9.3f ms   %5.1f %% of it\n", what, time_ms, bar_ms,
                time_ms / bar_ms, floor_ms, 100 * floor_ms / time_ms);
    std::fflush(stdout);
  }

  // Queries that a rollout from one token touches, layer by layer, without globals.
  double growing_rows() const {
    double rows = 0;
    for (std::int64_t layer = 0; layer < kDepth; ++layer) rows += std::pow(std::min(side, (kWindow - 1) * layer + 1), 2);
    return rows;
  }

  void short_questions() {
    const auto middle = token_map(layers[0], side / 2, side / 2);
    const auto row_work = [&] { return row(layers[0], middle, {}); };
    check_sum(row_work(), "row");
    print("row, mean of heads", milliseconds(row_work, 20), 5, 1);
    print("column, mean of heads", milliseconds([&] { return column(layers[0], middle, {}); }, 20), 20, kWindow * kWindow);
  }

  void rollout_without_globals() {
    const auto work = [&] { return rollout(stack(), token_map(layers[0], side / 2, side / 2), {}); };
    check_sum(work(), "rollout");
    print("rollout through 12 layers, no globals", milliseconds(work, 5), 30, growing_rows());
  }

  void rollout_with_globals() {
    const double cells = static_cast<double>(side) * static_cast<double>(side);
    double lse_ms = 0;
    for (auto& layer : layers) lse_ms += milliseconds([&] { add_lse(layer); return token_map(layer, 0, 0); }, 1);
    lse_ms *= static_cast<double>(kDepth) / static_cast<double>(layers.size());
    print("log-sum-exp kept, once for 12 layers", lse_ms, 1000, device.is_cuda() ? cells * kDepth : 0);
    const auto everywhere = box_map(layers[0], layers[0].grid_rect());
    const auto sweep = [&] { return times_attention(everywhere, layers[0], {}, RowSums::kOne); };
    print("one whole layer of a rollout", milliseconds(sweep, 2), 1000.0 / kDepth, cells);
    const auto work = [&] { return rollout(stack(), token_map(layers[0], side / 2, side / 2), {}); };
    if (device.is_cuda()) check_sum(work(), "rollout");   // on the CPU minutes: checked after it was timed
    TokenMap result;
    const double time = milliseconds([&] { return result = work(); }, device.is_cuda() ? 3 : 1);
    check_sum(result, "rollout");
    print("rollout through 12 layers, with globals", time, 1000, cells * (kDepth - 2));   // the first two touch little
  }
};

}  // namespace

int main(int argument_count, char** arguments) {
  const std::int64_t side = argument_count > 1 ? std::atoll(arguments[1]) : 2048,
                     globals = argument_count > 2 ? std::atoll(arguments[2]) : 8,
                     resident = argument_count > 4 ? std::clamp<std::int64_t>(std::atoll(arguments[4]), 1, kDepth) : 1;
  const at::Device device(argument_count > 3 ? arguments[3] : "cpu");
  if (device.is_cuda() && !fovea::load_torch_cuda().empty()) return std::fprintf(stderr, "%s\n", fovea::load_torch_cuda().c_str()), 3;
  at::manual_seed(1);
  Bench bench{.side = side, .globals = globals, .device = device, .flops = peak_flops(device), .layers = {}};
  for (std::int64_t i = 0; i < resident; ++i) bench.layers.push_back(make_layer({side, side}, globals, device));
  std::printf("%lld x %lld tokens, %lld globals, %s, %d threads, %lld of 12 layers resident, floor at %.3f TFLOP/s\n",
              static_cast<long long>(side), static_cast<long long>(side), static_cast<long long>(globals), device.str().c_str(),
              at::get_num_threads(), static_cast<long long>(resident), bench.flops / 1e12);
  if (globals == 0) {
    bench.short_questions();
    bench.rollout_without_globals();
  } else {
    bench.rollout_with_globals();
    bench.short_questions();
  }
}
