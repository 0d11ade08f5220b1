// fovea_bench_rollouts [ROWS COLUMNS [DEVICE [SHARPNESS [dense]]]]: what keeping layers for rollouts costs and gains in a region that the
// viewer encodes (default 96 x 128 tokens, 8 globals): 12 layers of 6 heads of 64 channels in bfloat16, window 17 x 17 or dense; SHARPNESS
// multiplies the scores. Prints, for the mean of heads, one head, maximum and minimum, the time of a rollout from queries and keys and from
// what is kept, and how far the two are apart: as a share of the mass (half the sum of differences), and where they differ most, by the
// number there. Every rollout must sum to one.
//
// Times are the clock's; in brackets, on the CPU, the processor time by the number of threads: what the clock would show on idle cores.
#include <ATen/Parallel.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "core/attention/analysis/kept_rollouts.h"
#include "core/attention/analysis/rollout.h"
#include "core/base/torch_runtime.h"
#include "tests/bench/analysis/random_layers.h"

namespace {

using namespace fovea::analysis;
using namespace fovea::analysis::bench;

constexpr double kBarMs = 200;
constexpr std::int64_t kNoLimit = std::int64_t{1} << 60;

struct Time { double clock_ms = 1e300, processor_ms = 1e300; };

double processor_ms() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

// The best of some repeats.
Time time_of(int repeats, const std::function<void()>& work) {
  Time best;
  for (int i = 0; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const double before = processor_ms();
    work();
    best.clock_ms = std::min(best.clock_ms, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    best.processor_ms = std::min(best.processor_ms, (processor_ms() - before) / at::get_num_threads());
  }
  return best;
}

struct Bench {
  std::array<std::int64_t, 2> grid;
  at::Device device;
  std::vector<AttentionLayer> layers{};
  KeptRollouts kept{};

  LayerStack stack() { return {kDepth, [this](std::int64_t l) { return layers[static_cast<std::size_t>(l)]; }}; }
  LayerStack stack_of_kept(const HeadChoice& heads) {
    return {kDepth, [this, heads](std::int64_t l) {
              auto layer = layers[static_cast<std::size_t>(l)];
              layer.kept = kept.find(layer, l, heads);
              return layer;
            }};
  }
  void print(const char* what, const Time& time, double bar_ms = 0) const {
    std::printf("%-44s %9.1f ms", what, time.clock_ms);
    if (device.is_cpu()) std::printf(" (%7.1f)", time.processor_ms);
    if (bar_ms > 0) std::printf("   bar %4.0f ms", bar_ms);
    std::printf("\n");
    std::fflush(stdout);
  }

  KeptRollouts::Request request(std::int64_t budget_bytes, fovea::Progress& progress, const std::stop_token& stop) {
    return {.layers = stack(), .budget_bytes = budget_bytes, .progress = progress, .stop = stop};
  }

  void keep() {
    fovea::NoProgress progress;
    const std::stop_token stop;
    const double tokens = static_cast<double>(grid[0] * grid[1]);
    print("keeping the mean of heads alone", time_of(1, [&] { kept.keep({}, request(kNoLimit, progress, stop)); }));
    const auto mean_bytes = static_cast<double>(kept.bytes());
    kept = {};
    print("keeping every head, and their mean", time_of(1, [&] { kept.keep_first(request(kNoLimit, progress, stop)); }));
    std::printf("kept: the mean %.0f MB, %.1f KB a token; all %.0f MB, %.1f KB a token\n", mean_bytes / 1e6, mean_bytes / 1e3 / tokens,
                static_cast<double>(kept.bytes()) / 1e6, static_cast<double>(kept.bytes()) / 1e3 / tokens);
  }

  void rollouts(const char* name, const HeadChoice& heads) {
    fovea::NoProgress progress;
    const std::stop_token stop;
    const auto start = token_map(layers[0], grid[0] / 2, grid[1] / 3);
    TokenMap exact, quick;
    const auto time_rollout = [&](const std::string& what, const LayerStack& from, TokenMap& result, int repeats) {
      print((std::string(name) + what).c_str(), time_of(repeats, [&] {
        result = rollout(from, start, {.heads = heads});
        result.values.sum().item<float>();   // a GPU has finished when a number is here
      }), kBarMs);
      const double sum = result.grid_total() + result.global_total();
      if (std::abs(sum - 1) > 1e-4) std::fprintf(stderr, "%s: sums to %.6f, expected 1\n", name, sum), std::exit(1);
    };
    time_rollout(", from queries and keys", stack(), exact, device.is_cuda() ? 5 : 1);
    if (device.is_cuda()) return;
    const bool made = heads.fusion == HeadFusion::kMax || heads.fusion == HeadFusion::kMin;
    if (made) time_rollout(", from every head", stack_of_kept(heads), quick, 5);
    if (made)
      print("  keeping it, from the heads", time_of(1, [&] { kept.keep(heads, request(kNoLimit, progress, stop)); }));
    time_rollout(", from what is kept", stack_of_kept(heads), quick, 5);
    const auto a = quick.dense().to(at::kDouble), b = exact.dense().to(at::kDouble);
    const auto relative = ((a - b).abs() / b.clamp_min(1e-30)).masked_select(b > b.max() * 1e-6);
    std::printf("  apart by %.1e of the mass, by %.1e of a number at most\n", 0.5 * (a - b).abs().sum().item<double>(),
                relative.max().item<double>());
  }
};

}  // namespace

int main(int argument_count, char** arguments) {
  const std::int64_t rows = argument_count > 2 ? std::atoll(arguments[1]) : 96;
  const std::int64_t columns = argument_count > 2 ? std::atoll(arguments[2]) : 128;
  const at::Device device(argument_count > 3 ? arguments[3] : "cpu");
  const double sharpness = argument_count > 4 ? std::atof(arguments[4]) : 1;
  const bool dense = argument_count > 5 && std::string(arguments[5]) == "dense";
  if (device.is_cuda() && !fovea::load_torch_cuda().empty()) return std::fprintf(stderr, "%s\n", fovea::load_torch_cuda().c_str()), 3;
  at::manual_seed(1);
  Bench bench{.grid = {rows, columns}, .device = device};
  for (std::int64_t i = 0; i < kDepth; ++i) {
    bench.layers.push_back(make_layer({rows, columns}, 8, device));
    if (dense) bench.layers.back().pattern = dense_pattern({rows, columns}, 8);
    bench.layers.back().scale = sharpness / 8;   // 1: as trained models begin
    add_lse(bench.layers.back());
  }
  std::printf("%lld x %lld tokens, 8 globals, 12 %slayers of 6 heads, %s, %d threads\n", static_cast<long long>(rows),
              static_cast<long long>(columns), dense ? "dense " : "", device.str().c_str(), at::get_num_threads());
  if (device.is_cpu()) bench.keep();
  bench.rollouts("mean of heads", {});
  bench.rollouts("one head", {HeadFusion::kOne, 3});
  bench.rollouts("maximum of heads", {HeadFusion::kMax});
  bench.rollouts("minimum of heads", {HeadFusion::kMin});
}
