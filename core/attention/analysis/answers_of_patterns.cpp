// Answers about what a sparsity pattern would cost.
#include <ATen/ATen.h>

#include <cmath>

#include "core/attention/analysis/answers.h"
#include "core/attention/analysis/kept_mass.h"
#include "core/base/error.h"

namespace fovea::analysis {
namespace {

// Kept mass wants every key of every query: its time, not its memory, is quadratic.
constexpr std::int64_t kMostTokensForDense = 1 << 14;

void check_dense_fits(const Asked& asked) {
  const auto& layer = asked.layer();
  if (layer.tokens() <= kMostTokensForDense) return;
  const auto side = static_cast<std::int64_t>(std::sqrt(static_cast<double>(kMostTokensForDense - layer.global_tokens())));
  const auto pixels = std::to_string(side * asked.patch());
  throw Error(ErrorKind::kEnvironment, "dense attention of " + std::to_string(layer.tokens()) +
                                           " tokens is too large to compare with: a region of " + pixels + " x " + pixels +
                                           " pixels would fit");
}

std::string mean_note(const torch::Tensor& plane) {
  char text[32];
  std::snprintf(text, sizeof text, "mean %.4g", plane.mean().item<double>());
  return text;
}

// The pattern asked about, layer by layer.
std::vector<LayerAttention> pattern_of(const Asked& asked) {
  std::vector<LayerAttention> attention(static_cast<std::size_t>(asked.probe.depth()), {.dense = false,
                                                                                       .window = {asked.query.window, asked.query.window},
                                                                                       .dilation = {asked.query.dilation}});
  for (const auto layer : asked.query.dense_layers.value_or(std::vector<std::int64_t>{})) {
    attention[static_cast<std::size_t>(layer)] = {.dense = true};
  }
  return attention;
}

// Means over tokens of a plane of pixels: [H, W] float32; the last row and column may hold fewer pixels.
torch::Tensor mean_by_token(const torch::Tensor& pixels, std::int64_t patch) {
  const auto plane = pixels.to(torch::kFloat).unsqueeze(0).unsqueeze(0);
  return at::avg_pool2d(plane, {patch, patch}, {patch, patch}, 0, /*ceil_mode=*/true, /*count_include_pad=*/false)[0][0];
}

}  // namespace

Answer answer_kept_mass(const Asked& asked) {
  const auto& layer = asked.layer();
  const auto& query = asked.query;
  check_dense_fits(asked);
  const auto globals = query.kept_globals.value_or(layer.global_tokens());
  auto kept = asked.probe.kept_mass(asked.layer_index(), query.dilation);
  kept.rings = asked.in_focus(kept.rings, 1), kept.globals = asked.in_focus(kept.globals, 1);
  const auto radius = (query.window - 1) / 2;
  const auto mass = kept.at(radius, globals), variation = kept.lost(radius, globals), divergence = jensen_shannon_of_lost(variation);
  const bool in_nats = query.method == Method::kDivergence;
  const auto& plane = query.method == Method::kKeptMass ? mass : in_nats ? divergence : variation;
  Answer result{.plane = fuse_heads(plane, query.heads, 0).cpu(),
                .unit = in_nats ? "nats" : query.method == Method::kKeptMass ? "share of dense attention" : "total variation",
                .bounds = {{0, in_nats ? std::log(2.0) : 1.0}}};
  result.note = mean_note(result.plane);
  const auto curve = kept.curve();   // [heads, radii]
  auto by_head = nlohmann::json::array();
  for (std::int64_t head = 0; head < layer.heads(); ++head) by_head.push_back(list(curve[head]));
  result.numbers = {{"window", query.window},
                    {"dilation", query.dilation},
                    {"globals", globals},
                    {"kept_by_head", list(mean_by_head(mass))},
                    {"total_variation_by_head", list(mean_by_head(variation))},
                    {"jensen_shannon_divergence_by_head", list(mean_by_head(divergence))},
                    {"jensen_shannon_distance_by_head", list(mean_by_head(divergence.sqrt()))},
                    {"kept_by_radius_mean", list(curve.mean(0))},
                    {"kept_by_radius_by_head", by_head}};
  return result;
}

Answer answer_pattern(const Asked& asked) {
  const bool classes = asked.query.method == Method::kChanged;
  const auto effect = asked.probe.pattern_effect(pattern_of(asked), asked.query.kept_globals);
  const auto cosine = asked.in_focus(effect.cosine, 0).cpu().contiguous();
  Answer result{.plane = cosine, .unit = "cosine of features", .bounds = {{-1, 1}}};
  result.numbers = {{"window", asked.query.window}, {"dilation", asked.query.dilation}, {"mean_cosine", cosine.mean().item<double>()}};
  result.numbers["globals"] = asked.query.kept_globals.value_or(asked.probe.model().config().encoder.global_tokens);
  if (effect.changed.defined()) {
    const auto changed = asked.in_focus(mean_by_token(effect.changed, asked.patch()), 0).cpu().contiguous();
    result.numbers["changed_classes_share"] = changed.mean().item<double>();
    if (classes) result.plane = changed, result.unit = "share of pixels that change class", result.bounds = {{0, 1}};
  }
  result.note = mean_note(result.plane);
  return result;
}

}  // namespace fovea::analysis
