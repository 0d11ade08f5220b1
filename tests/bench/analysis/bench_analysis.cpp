// fovea_bench_analysis [SIDE [GLOBALS [DEVICE]]]: times rows, columns and rollouts on a grid of SIDE x SIDE tokens (default 2048: a gigapixel
// at patch 16), 12 layers of 6 heads of 64 channels in bfloat16, window 17 x 17. One layer is resident and stands for all twelve: twelve
// would be 39 GB at that size. Every result is checked before it is timed: rows and rollouts must sum to one.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "core/attention/analysis/attention_products.h"
#include "core/attention/analysis/rollout.h"
#include "core/attention/analysis/rows.h"
#include "core/base/torch_runtime.h"

namespace {

using namespace fovea::analysis;

constexpr std::int64_t kHeads = 6, kHeadDim = 64, kWindow = 17, kDepth = 12, kPatternTokens = 1 << 16;

// Random tokens, a pattern of them repeated: what they are does not change what they cost.
at::Tensor tokens(std::int64_t count, const at::Device& device) {
  const auto pattern =
      at::randn({kPatternTokens, kHeads, kHeadDim}, at::TensorOptions().dtype(at::kFloat).device(device)).to(at::kBFloat16);
  auto all = at::empty({count, kHeads, kHeadDim}, pattern.options());
  for (std::int64_t first = 0; first < count; first += kPatternTokens) {
    const auto part = std::min(kPatternTokens, count - first);
    all.narrow(0, first, part).copy_(pattern.narrow(0, 0, part));
  }
  return all;
}

AttentionLayer make_layer(std::int64_t side, std::int64_t globals, const at::Device& device) {
  AttentionLayer layer;
  layer.pattern = {.grid = {side, side}, .global_tokens = globals, .window = {kWindow, kWindow}, .dilation = {1}};
  layer.query = tokens(layer.tokens(), device);
  layer.key = tokens(layer.tokens(), device);
  return layer;
}

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

void check_sum(const TokenMap& map, const char* what) {
  const double sum = map.grid_total() + map.global_total();
  if (std::abs(sum - 1) <= 1e-5) return;
  std::fprintf(stderr, "%s: sums to %.9f, expected 1\n", what, sum);
  std::exit(1);
}

void print_row(const char* what, double time_ms, double bar_ms) {
  std::printf("%-44s %12.2f ms   bar %8.0f ms   ratio %6.2f\n", what, time_ms, bar_ms, time_ms / bar_ms);
}

}  // namespace

int main(int argument_count, char** arguments) {
  const std::int64_t side = argument_count > 1 ? std::atoll(arguments[1]) : 2048,
                     globals = argument_count > 2 ? std::atoll(arguments[2]) : 8;
  const at::Device device(argument_count > 3 ? arguments[3] : "cpu");
  if (device.is_cuda() && !fovea::load_torch_cuda().empty()) return std::fprintf(stderr, "%s\n", fovea::load_torch_cuda().c_str()), 3;
  at::manual_seed(1);
  auto layer = make_layer(side, globals, device);
  std::printf("%lld x %lld tokens, %lld globals, %s, %d threads\n", static_cast<long long>(side), static_cast<long long>(side),
              static_cast<long long>(globals), device.str().c_str(), at::get_num_threads());
  const auto lse = milliseconds([&] { add_global_lse(layer); return token_map(layer, 0, 0); }, 1);
  const auto middle = token_map(layer, side / 2, side / 2);
  const LayerStack stack{kDepth, [&](std::int64_t) { return layer; }};
  const auto row_work = [&] { return row(layer, middle, {}); };
  check_sum(row_work(), "row");
  print_row("row, mean of heads", milliseconds(row_work, 20), 5);
  print_row("column, mean of heads", milliseconds([&] { return column(layer, middle, {}); }, 20), 20);
  if (globals == 0) {
    const auto work = [&] { return rollout(stack, middle, {}); };
    check_sum(work(), "rollout");
    print_row("rollout through 12 layers, no globals", milliseconds(work, 3), 30);
    return 0;
  }
  print_row("log-sum-exp of the globals, once a layer", lse, 1000);
  const auto everywhere = box_map(layer, layer.grid_rect());
  const auto sweep = [&] { return times_attention(everywhere, layer, {}, RowSums::kOne); };
  print_row("one whole layer of a rollout", milliseconds(sweep, 1), 1000.0 / kDepth);
  if (side * side > (1 << 18) && device.is_cpu()) return 0;   // minutes: twelve times the row above, less what the first layers save
  const auto work = [&] { return rollout(stack, middle, {}); };
  check_sum(work(), "rollout");
  print_row("rollout through 12 layers, with globals", milliseconds(work, 1), 1000);
}
