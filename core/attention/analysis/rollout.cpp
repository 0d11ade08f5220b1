#include "core/attention/analysis/rollout.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "core/attention/analysis/attention_products.h"
#include "core/base/error.h"

namespace fovea::analysis {
namespace {

// share * attended + (1 - share) * before; attended's support holds before's unless attention starts from globals alone.
TokenMap mix(const TokenMap& attended, const TokenMap& before, double share) {
  auto result = attended;
  if (attended.support.empty()) {
    result.support = before.support;
    result.values = before.values * (1 - share);
  } else {
    result.values = attended.values * share;
    if (!before.support.empty()) {
      const auto& inner = before.support;
      result.values.narrow(0, inner.y - result.support.y, inner.height)
          .narrow(1, inner.x - result.support.x, inner.width)
          .add_(before.values, 1 - share);
    }
  }
  result.globals = attended.globals * share + before.globals * (1 - share);
  return result;
}

std::int64_t check_options(const LayerStack& layers, const RolloutOptions& options) {
  const auto last = options.last_layer.value_or(layers.depth - 1);
  for (const auto layer : {options.first_layer, last}) {
    if (layer >= 0 && layer < layers.depth) continue;
    throw Error(ErrorKind::kUsage,
                "layer " + std::to_string(layer) + " does not exist: the model has layers 0 to " + std::to_string(layers.depth - 1));
  }
  if (options.first_layer > last) throw Error(ErrorKind::kUsage, "the first layer of a rollout must not lie above its last");
  if (!(options.attention_share >= 0 && options.attention_share <= 1))
    throw Error(ErrorKind::kUsage, "the share of attention must lie in 0 ... 1");
  return last;
}

// One layer further. Of local paths the mass on global tokens is dropped.
TokenMap step(const TokenMap& current, const AttentionLayer& layer, const RolloutOptions& options) {
  const bool to_input = options.direction == RolloutDirection::kToInput, local = options.paths == RolloutPaths::kLocal;
  const auto attended = to_input ? times_attention(current, layer, options.heads, RowSums::kOne)
                        : local  ? attention_times_on_grid(layer, current, options.heads, RowSums::kOne)
                                 : attention_times(layer, current, options.heads, RowSums::kOne);
  auto next = mix(attended, current, options.attention_share);
  if (local) next.globals.zero_();
  return next;
}

}  // namespace

TokenMap rollout(const LayerStack& layers, const TokenMap& start, const RolloutOptions& options, Progress& progress, std::stop_token stop) {
  const auto last = check_options(layers, options), count = last - options.first_layer + 1;
  const bool to_input = options.direction == RolloutDirection::kToInput;
  if (options.paths == RolloutPaths::kLocal && start.support.empty())
    throw Error(ErrorKind::kUsage, "local paths begin at tokens of the grid, not at a global token");
  auto current = start;
  if (to_input) {
    const double total = start.grid_total() + start.global_total();
    current.values = start.values / total;
    current.globals = start.globals / total;
  }
  for (std::int64_t done = 0; done < count; ++done) {
    throw_if_stopped(stop);
    progress.report("rollout", done, count);
    current = step(current, layers.layer(to_input ? last - done : options.first_layer + done), options);
  }
  progress.report("rollout", count, count);
  return current;
}

TokenMap rollout(const LayerStack& layers, const TokenMap& start, const RolloutOptions& options) {
  NoProgress progress;
  return rollout(layers, start, options, progress, {});
}

ReceptiveField receptive_field(const TokenMap& rollout_to_input, const std::vector<double>& shares) {
  const auto values = rollout_to_input.values.cpu().to(at::kDouble);
  const double on_grid = rollout_to_input.grid_total(), on_globals = rollout_to_input.global_total();
  ReceptiveField field{.global_mass = on_grid + on_globals > 0 ? on_globals / (on_grid + on_globals) : 0};
  const auto touched = values.ne(0);
  field.support_tokens = touched.sum().item<std::int64_t>();
  if (field.support_tokens == 0) return field;
  const auto extent = [&](std::int64_t other_axis) {
    const auto places = touched.any(other_axis).nonzero();
    return std::pair{places.min().item<std::int64_t>(), places.max().item<std::int64_t>()};
  };
  const auto [top, bottom] = extent(1);
  const auto [left, right] = extent(0);
  field.bounds = {rollout_to_input.support.y + top, rollout_to_input.support.x + left, bottom - top + 1, right - left + 1};
  const auto sorted = std::get<0>(values.flatten().sort(/*dim=*/0, /*descending=*/true));
  const auto cumulated = sorted.cumsum(0).contiguous();
  for (const double share : shares) {
    const auto place = std::min(at::searchsorted(cumulated, share * cumulated[-1].item<double>()).item<std::int64_t>(), sorted.size(0) - 1);
    const double threshold = sorted[place].item<double>();
    const auto tokens = values.ge(threshold).sum().item<std::int64_t>();   // ties belong together
    field.contours.push_back({share, threshold, tokens, std::sqrt(static_cast<double>(tokens) / std::numbers::pi)});
  }
  return field;
}

}  // namespace fovea::analysis
