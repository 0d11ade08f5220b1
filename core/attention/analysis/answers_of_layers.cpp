// Answers about every token of a layer: statistics of its rows, its features.
#include "core/attention/analysis/answers.h"
#include "core/attention/analysis/features.h"
#include "core/attention/analysis/statistics.h"
#include "core/base/error.h"

namespace fovea::analysis {
namespace {

std::string rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

// Of a model whose training images all had one pixel size: an image of an unknown one is taken for one of them.
std::optional<double> pixel_metres_of(const ModelConfig& model) {
  const auto& trained = model.preprocessing.ground_sampling_distance_m;
  return trained && trained->smallest == trained->largest ? std::optional(trained->smallest) : std::nullopt;
}

// Means by head in tokens, pixels and (where a pixel's size is known) metres, and how far the windows reach.
void describe_distance(const Asked& asked, const torch::Tensor& mean_distance, Answer& result) {
  const auto& layer = asked.layer();
  const auto patch = static_cast<double>(asked.patch());
  const auto by_head = mean_by_head(mean_distance);
  auto bounds = torch::empty({layer.heads()}, torch::kDouble);
  for (std::int64_t head = 0; head < layer.heads(); ++head) bounds[head] = distance_bound(layer, head);
  auto& json = result.numbers;
  json["distance_tokens_by_head"] = list(by_head);
  json["distance_pixels_by_head"] = list(by_head * patch);
  json["distance_bound_tokens_by_head"] = list(bounds);
  json["distance_bound_pixels_by_head"] = list(bounds * patch);
  const auto metres = asked.query.pixel_metres ? asked.query.pixel_metres : pixel_metres_of(asked.probe.model().config());
  if (metres) {
    json["pixel_metres"] = *metres;
    json["pixel_metres_from"] = asked.query.pixel_metres ? "image" : "model";
    json["distance_metres_by_head"] = list(by_head * patch * *metres);
    json["distance_bound_metres_by_head"] = list(bounds * patch * *metres);
  }
  if (asked.query.method != Method::kDistance) return;
  const double mean = result.plane.mean().item<double>(), reach = bounds.max().item<double>() * patch;
  result.note = "mean " + rounded(mean) + (metres ? " (" + rounded(mean * *metres) + " m)" : "") + ", keys lie within " + rounded(reach);
}

torch::Tensor grid_of(const Asked& asked, const torch::Tensor& tokens) {
  const auto [rows, columns] = asked.probe.grid();
  return asked.in_focus(tokens.narrow(0, tokens.size(0) - rows * columns, rows * columns).unflatten(0, {rows, columns}), 0).contiguous();
}

Answer answer_norms(const Asked& asked) {
  const auto features = grid_of(asked, asked.probe.raw_features(asked.layer_index()));
  const auto norms = token_norms(features.flatten(0, 1));
  const auto shape = features.sizes().slice(0, 2);
  const auto outlier = norms.outlier.view(shape).cpu();
  Answer result{.plane = norms.norm.view(shape).cpu(), .unit = "norm of features"};
  const auto count = outlier.sum().item<std::int64_t>();
  if (count > 0) result.outlines = {{.inside = outlier, .name = "outliers"}};
  result.numbers = {{"threshold", norms.threshold}, {"outliers", count}, {"median", norms.norm.median().item<double>()},
                    {"largest", norms.norm.max().item<double>()}, {"outlier_tokens", nlohmann::json::array()}};
  const auto places = outlier.nonzero();   // [count, 2]
  for (std::int64_t i = 0; i < std::min<std::int64_t>(count, 1000); ++i) {
    result.numbers["outlier_tokens"].push_back(
        {{"y", asked.focus().y + places[i][0].item<std::int64_t>()}, {"x", asked.focus().x + places[i][1].item<std::int64_t>()}});
  }
  result.note = std::to_string(count) + " outliers above " + rounded(norms.threshold);
  return result;
}

Answer answer_colours(const Asked& asked, const torch::Tensor& features) {
  const auto colours = principal_colours(grid_of(asked, features).flatten(0, 1));
  const auto focus = asked.focus();
  Answer result{.rgb = colours.rgb.unflatten(0, {focus.height, focus.width}).contiguous(), .unit = "principal components"};
  result.numbers = {{"explained", list(colours.explained)}};
  result.note = "explain " + rounded(100 * colours.explained.sum().item<double>()) + " % of the variance";
  return result;
}

}  // namespace

Answer answer_statistics(const Asked& asked) {
  const auto& layer = asked.layer();
  const auto& statistics = asked.probe.statistics(asked.layer_index(), asked.focus(), asked.stop);
  const auto entropy = normalised_entropy(layer, statistics);
  const auto choose = [&](const torch::Tensor& planes) { return fuse_heads(planes, asked.query.heads, 0).cpu(); };
  Answer result;
  if (asked.query.method == Method::kEntropy) result = {.plane = choose(entropy), .unit = "entropy / log(keys)", .bounds = {{0, 1}}};
  if (asked.query.method == Method::kGlobalMass) {
    result = {.plane = choose(statistics.global_mass), .unit = "share of attention", .bounds = {{0, 1}}};
  }
  if (asked.query.method == Method::kDistance) {
    result = {.plane = choose(statistics.mean_distance) * asked.patch(), .unit = "pixels"};
  } else {
    result.note = "mean " + rounded(result.plane.mean().item<double>());
  }
  result.numbers = {{"entropy_by_head", list(mean_by_head(entropy))},
                    {"global_mass_by_head", list(mean_by_head(statistics.global_mass))}};
  describe_distance(asked, statistics.mean_distance, result);
  return result;
}

Answer answer_features(const Asked& asked) {
  if (asked.query.method == Method::kNorms) return answer_norms(asked);
  const auto features = asked.probe.features(asked.layer_index());
  if (asked.query.method == Method::kPca) return answer_colours(asked, features);
  const auto chosen = chosen_tokens(asked);
  const auto weights = torch::cat({chosen.globals, chosen.dense().flatten()});
  const auto mean = torch::matmul(weights / weights.sum(), features.to(torch::kFloat));   // of the chosen tokens
  const auto cosine = cosine_similarity(torch::cat({mean.unsqueeze(0), features.to(torch::kFloat)}), 0);
  Answer result{.plane = grid_of(asked, cosine).cpu(), .unit = "cosine of features", .bounds = {{-1, 1}}};
  result.numbers = {{"mean", result.plane.mean().item<double>()}};
  result.note = "mean " + rounded(result.plane.mean().item<double>());
  return result;
}

}  // namespace fovea::analysis
