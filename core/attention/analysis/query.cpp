#include "core/attention/analysis/query.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/attention/analysis/features.h"
#include "core/attention/analysis/kept_mass.h"
#include "core/attention/analysis/rollout.h"
#include "core/attention/analysis/rows.h"
#include "core/attention/analysis/statistics.h"
#include "core/base/error.h"

namespace fovea::analysis {
namespace {

struct Asked {
  AttentionProbe& probe;
  const Query& query;
  Progress& progress;
  const std::stop_token& stop;
  std::int64_t layer_index() const { return query.layer < 0 ? probe.depth() - 1 : query.layer; }
  const AttentionLayer& layer() const { return probe.layer(layer_index()); }
  GridRect focus() const { return query.focus.value_or(GridRect{0, 0, probe.grid()[0], probe.grid()[1]}); }
  // The focus of planes [..., H, W, ...] whose grid rows are dimension `rows`.
  torch::Tensor in_focus(const torch::Tensor& planes, std::int64_t rows) const {
    const auto rect = focus();
    return planes.narrow(rows, rect.y, rect.height).narrow(rows + 1, rect.x, rect.width);
  }
};

TokenMap chosen_tokens(const Asked& asked) {
  const auto& layer = asked.layer();
  const auto& choice = asked.query.tokens;
  if (choice.global_token) return global_map(layer, *choice.global_token);
  if (!choice.brush.empty()) return brush_map(layer, choice.brush);
  if (!choice.box) {
    throw Error(ErrorKind::kUsage, "method " + std::string(method_info(asked.query.method).name) +
                                       " asks about tokens: choose some with a place, a box or a global token");
  }
  if (!choice.disc_radius) return box_map(layer, *choice.box);
  const auto y = choice.box->y + choice.box->height / 2, x = choice.box->x + choice.box->width / 2;
  const auto reach = static_cast<std::int64_t>(std::ceil(*choice.disc_radius));
  std::vector<WeightedToken> disc;
  for (std::int64_t dy = -reach; dy <= reach; ++dy) {
    for (std::int64_t dx = -reach; dx <= reach; ++dx) {
      const bool inside = y + dy >= 0 && x + dx >= 0 && y + dy < layer.height() && x + dx < layer.width();
      if (inside && std::hypot(dy, dx) <= *choice.disc_radius) disc.push_back({y + dy, x + dx, 1.0});
    }
  }
  return brush_map(layer, disc);
}

nlohmann::json rect_json(const GridRect& rect) { return {{"y", rect.y}, {"x", rect.x}, {"height", rect.height}, {"width", rect.width}}; }

nlohmann::json list(const torch::Tensor& values) {
  const auto flat = values.detach().cpu().to(torch::kDouble).contiguous();
  return std::vector<double>(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
}

Answer map_answer(const TokenMap& map, std::string unit) {
  Answer result{.plane = map.dense().cpu(), .unit = std::move(unit)};
  result.numbers = {{"grid_total", map.grid_total()}, {"global_total", map.global_total()}, {"globals", list(map.globals)},
                    {"support", rect_json(map.support)}};
  return result;
}

Answer answer_rollout(const Asked& asked) {
  const auto from = asked.query.method == Method::kRolloutFrom;
  const RolloutOptions options{.heads = asked.query.heads, .attention_share = asked.query.attention_share,
                               .last_layer = asked.query.layer < 0 ? std::nullopt : std::optional(asked.query.layer),
                               .direction = from ? RolloutDirection::kFromInput : RolloutDirection::kToInput};
  const auto map = rollout(asked.probe.stack(), chosen_tokens(asked), options, asked.progress, asked.stop);
  auto result = map_answer(map, "share of rollout");
  if (from) return result;
  const auto field = receptive_field(map);
  auto& json = result.numbers["field"] = {
      {"bounds", rect_json(field.bounds)}, {"support_tokens", field.support_tokens}, {"global_mass", field.global_mass}};
  const auto patch = static_cast<double>(asked.probe.model().config().encoder.patch);
  for (const auto& contour : field.contours) {
    json["contours"].push_back({{"share", contour.share}, {"tokens", contour.tokens}, {"threshold", contour.threshold},
                                {"radius_tokens", contour.radius}, {"radius_pixels", contour.radius * patch}});
  }
  if (asked.query.method == Method::kField) {   // which contour a token lies in: 1 inside 50 %, 2/3 inside 90 %, 1/3 support
    auto zones = (result.plane > 0).to(torch::kFloat);
    for (const auto& contour : field.contours) zones += (result.plane >= contour.threshold).to(torch::kFloat);
    result.plane = zones / 3;
    result.unit = "1: holds 50 %, 2/3: 90 %, 1/3: reached";
  }
  return result;
}

// A stop is noticed between bands of rows. Each band costs the global queries' rows once more: few bands.
constexpr std::int64_t kStatisticsBands = 8;

RowStatistics statistics_by_bands(const AttentionLayer& layer, const GridRect& whole, const std::stop_token& stop) {
  const std::int64_t rows = (whole.height + kStatisticsBands - 1) / kStatisticsBands;
  RowStatistics result{.rect = whole};
  std::vector<torch::Tensor> lse, entropy, global_mass, mean_distance;
  for (std::int64_t y = 0; y < whole.height; y += rows) {
    throw_if_stopped(stop);
    auto band = row_statistics(layer, {whole.y + y, whole.x, std::min(rows, whole.height - y), whole.width});
    lse.push_back(band.lse);
    entropy.push_back(band.entropy);
    global_mass.push_back(band.global_mass);
    mean_distance.push_back(band.mean_distance);
    result.global_query_lse = band.global_query_lse;
    result.global_query_entropy = band.global_query_entropy;
    result.global_query_global_mass = band.global_query_global_mass;
  }
  result.lse = torch::cat(lse, 1);
  result.entropy = torch::cat(entropy, 1);
  result.global_mass = torch::cat(global_mass, 1);
  result.mean_distance = torch::cat(mean_distance, 1);
  return result;
}

Answer answer_statistics(const Asked& asked) {
  const auto& layer = asked.layer();
  check_head(layer, asked.query.heads);
  const auto statistics = statistics_by_bands(layer, asked.focus(), asked.stop);
  const auto entropy = normalised_entropy(layer, statistics);
  const auto& config = asked.probe.model().config();
  const auto choose = [&](const torch::Tensor& planes) { return fuse_heads(planes, asked.query.heads, 0).cpu(); };
  Answer result;
  if (asked.query.method == Method::kEntropy) result = {.plane = choose(entropy), .unit = "entropy / log(keys)"};
  if (asked.query.method == Method::kGlobalMass) result = {.plane = choose(statistics.global_mass), .unit = "share of attention"};
  if (asked.query.method == Method::kDistance) result = {.plane = choose(statistics.mean_distance), .unit = "tokens"};
  const auto by_head = [](const torch::Tensor& planes) { return planes.mean(torch::IntArrayRef{1, 2}, false, torch::kDouble); };
  const auto distance = by_head(statistics.mean_distance);
  result.numbers = {{"entropy_by_head", list(by_head(entropy))},
                    {"global_mass_by_head", list(by_head(statistics.global_mass))},
                    {"distance_tokens_by_head", list(distance)},
                    {"distance_pixels_by_head", list(distance * static_cast<double>(config.encoder.patch))}};
  if (const auto metres = config.preprocessing.ground_sampling_distance_m) {
    result.numbers["distance_metres_by_head"] = list(distance * static_cast<double>(config.encoder.patch) * *metres);
  }
  for (std::int64_t head = 0; head < layer.heads(); ++head)
    result.numbers["distance_bound_tokens_by_head"].push_back(distance_bound(layer, head));
  return result;
}

// Kept mass wants every key of every query: its time, not its memory, is quadratic.
constexpr std::int64_t kMostTokensForDense = 1 << 14;

void check_dense_fits(const Asked& asked) {
  const auto& layer = asked.layer();
  if (layer.tokens() <= kMostTokensForDense) return;
  const auto side = static_cast<std::int64_t>(std::sqrt(static_cast<double>(kMostTokensForDense - layer.global_tokens())));
  const auto pixels = std::to_string(side * asked.probe.model().config().encoder.patch);
  throw Error(ErrorKind::kEnvironment, "dense attention of " + std::to_string(layer.tokens()) +
                                           " tokens is too large to compare with: a region of " + pixels + " x " + pixels +
                                           " pixels would fit");
}

void check_pattern(const Query& query) {
  if (query.window < 1 || query.window % 2 == 0)
    throw Error(ErrorKind::kUsage, "window " + std::to_string(query.window) + ": must be odd and positive");
  if (query.dilation < 1) throw Error(ErrorKind::kUsage, "dilation " + std::to_string(query.dilation) + ": must be at least 1");
}

Answer answer_kept_mass(const Asked& asked) {
  const auto& layer = asked.layer();
  check_head(layer, asked.query.heads);
  check_pattern(asked.query);
  check_dense_fits(asked);
  auto kept = kept_mass(layer, asked.query.dilation);
  kept.window = asked.in_focus(kept.window, 1), kept.globals = asked.in_focus(kept.globals, 1);
  const auto globals = asked.query.kept_globals.value_or(layer.global_tokens());
  if (globals < 0 || globals > layer.global_tokens()) {
    throw Error(ErrorKind::kUsage, std::to_string(globals) + " global tokens: the model has " + std::to_string(layer.global_tokens()));
  }
  const auto mass = kept.at((asked.query.window - 1) / 2, globals);
  const auto variation = total_variation_of_kept(mass), divergence = jensen_shannon_of_kept(mass);
  const auto& plane = asked.query.method == Method::kKeptMass ? mass : asked.query.method == Method::kVariation ? variation : divergence;
  Answer result{.plane = fuse_heads(plane, asked.query.heads, 0).cpu(),
                .unit = asked.query.method == Method::kDivergence ? "nats" : "share of dense attention"};
  const auto by_head = [](const torch::Tensor& planes) { return list(planes.mean(torch::IntArrayRef{1, 2}, false, torch::kDouble)); };
  result.numbers = {{"window", asked.query.window},
                    {"dilation", asked.query.dilation},
                    {"globals", globals},
                    {"kept_by_head", by_head(mass)},
                    {"total_variation_by_head", by_head(variation)},
                    {"jensen_shannon_by_head", by_head(divergence)},
                    {"kept_by_radius_mean", list(kept.curve().mean(0))}};
  return result;
}

Answer answer_pattern(const Asked& asked) {
  check_pattern(asked.query);
  const auto& own = asked.probe.model().config().encoder.attention;
  std::vector<LayerAttention> attention(
      own.size(), {.dense = false, .window = {asked.query.window, asked.query.window}, .dilation = {asked.query.dilation}});
  for (const auto layer : asked.query.dense_layers.value_or(std::vector<std::int64_t>{})) {
    if (layer < 0 || layer >= asked.probe.depth())
      throw Error(ErrorKind::kUsage, "layer " + std::to_string(layer) + " does not exist: the model has layers 0 to " +
                                         std::to_string(asked.probe.depth() - 1));
    attention[static_cast<std::size_t>(layer)] = {.dense = true};
  }
  const auto effect = asked.probe.pattern_effect(attention, asked.query.kept_globals);
  Answer result{.plane = asked.in_focus(effect.cosine, 0).cpu().contiguous(), .unit = "cosine of features"};
  result.numbers = {{"window", asked.query.window}, {"dilation", asked.query.dilation},
                    {"mean_cosine", result.plane.mean().item<double>()}};
  result.numbers["globals"] = asked.query.kept_globals.value_or(asked.probe.model().config().encoder.global_tokens);
  if (effect.changed.defined()) result.numbers["changed_classes_share"] = effect.changed_share;
  return result;
}

torch::Tensor grid_of(const Asked& asked, const torch::Tensor& tokens) {
  const auto [rows, columns] = asked.probe.grid();
  return asked.in_focus(tokens.narrow(0, tokens.size(0) - rows * columns, rows * columns).unflatten(0, {rows, columns}), 0).contiguous();
}

Answer answer_features(const Asked& asked) {
  const auto layer = asked.layer_index();
  if (asked.query.method == Method::kNorms) {
    const auto norms = token_norms(asked.probe.raw_features(layer));
    Answer result{.plane = grid_of(asked, norms.norm).cpu(), .unit = "norm of features"};
    result.numbers = {{"threshold", norms.threshold}, {"outliers", norms.outlier.sum().item<std::int64_t>()},
                      {"median", norms.norm.median().item<double>()}, {"largest", norms.norm.max().item<double>()}};
    return result;
  }
  const auto features = asked.probe.features(layer);
  if (asked.query.method == Method::kPca) {
    const auto colours = principal_colours(grid_of(asked, features).flatten(0, 1));
    const auto [y, x, height, width] = asked.focus();
    Answer result{.rgb = colours.rgb.unflatten(0, {height, width}).contiguous(), .unit = "principal components"};
    result.numbers = {{"explained", list(colours.explained)}};
    return result;
  }
  const auto chosen = chosen_tokens(asked);
  const auto weights = torch::cat({chosen.globals, chosen.dense().flatten()});
  const auto mean = torch::matmul(weights / weights.sum(), features.to(torch::kFloat));   // of the chosen tokens
  const auto cosine = cosine_similarity(torch::cat({mean.unsqueeze(0), features.to(torch::kFloat)}), 0);
  Answer result{.plane = grid_of(asked, cosine).cpu(), .unit = "cosine of features"};
  result.numbers = {{"mean", result.plane.mean().item<double>()}};
  return result;
}

Answer answer_any(const Asked& asked) {
  auto& probe = asked.probe;
  const auto& query = asked.query;
  switch (query.method) {
    case Method::kRow: return map_answer(row(asked.layer(), chosen_tokens(asked), query.heads), "share of attention");
    case Method::kColumn: return map_answer(column(asked.layer(), chosen_tokens(asked), query.heads), "share of attention");
    case Method::kNormWeighted: {
      const auto index = asked.layer_index();
      return map_answer(
          norm_weighted_row(asked.layer(), chosen_tokens(asked), query.heads, probe.values(index), probe.output_weight(index)), "norm");
    }
    case Method::kRollout: case Method::kRolloutFrom: case Method::kField: return answer_rollout(asked);
    case Method::kEntropy: case Method::kDistance: case Method::kGlobalMass: return answer_statistics(asked);
    case Method::kKeptMass: case Method::kVariation: case Method::kDivergence: return answer_kept_mass(asked);
    case Method::kPattern: return answer_pattern(asked);
    case Method::kSimilarity: case Method::kPca: case Method::kNorms: return answer_features(asked);
  }
  return {};
}

}  // namespace

bool answers_for_every_token(Method method) { return !method_info(method).needs_tokens || method == Method::kSimilarity; }

Answer answer(AttentionProbe& probe, const Query& query, Progress& progress, const std::stop_token& stop) {
  torch::NoGradGuard no_grad;
  const Asked asked{probe, query, progress, stop};
  const auto [rows, columns] = probe.grid();
  const auto focus = asked.focus();
  require(!focus.empty() && focus.y >= 0 && focus.x >= 0 && focus.y + focus.height <= rows && focus.x + focus.width <= columns,
          "answer: the focus lies inside the probe's grid");
  auto result = answer_any(asked);
  result.rect = answers_for_every_token(query.method) ? focus : GridRect{0, 0, rows, columns};
  return result;
}

const std::vector<MethodInfo>& methods() {
  static const std::vector<MethodInfo> kMethods{
      {Method::kRow, "row", "where the tokens look", true, true, 1},
      {Method::kColumn, "column", "who looks at the tokens", true, true, 2},
      {Method::kRollout, "rollout", "which input the tokens depend on through all layers", true, true, 1},
      {Method::kRolloutFrom, "rollout-from", "which output depends on the tokens as input", true, true, 2},
      {Method::kField, "field", "effective receptive field: 50 % and 90 % of the rollout", true, true, 1},
      {Method::kNormWeighted, "norm-weighted", "row weighted by the norm of what is read", true, true, 1},
      {Method::kEntropy, "entropy", "entropy of every row, 1: uniform", false, true, 1},
      {Method::kDistance, "distance", "mean distance of what every row looks at", false, true, 1},
      {Method::kGlobalMass, "global-mass", "share of attention on global tokens", false, true, 1},
      {Method::kKeptMass, "kept-mass", "share of dense attention inside --window", false, true, 1},
      {Method::kVariation, "variation", "total variation of rows, dense against --window", false, true, 1},
      {Method::kDivergence, "divergence", "Jensen-Shannon distance of rows, dense against --window", false, true, 1},
      {Method::kPattern, "pattern", "cosine of the last features, this model against itself with --window", false, false, 1},
      {Method::kSimilarity, "similarity", "cosine of features to the tokens'", true, false, 1},
      {Method::kPca, "pca", "principal components of features as colours", false, false, 1},
      {Method::kNorms, "norms", "norm of features; flags outliers", false, false, 1},
  };
  return kMethods;
}

const MethodInfo& method_info(Method method) {
  return *std::find_if(methods().begin(), methods().end(), [&](const MethodInfo& info) { return info.method == method; });
}

Method parse_method(std::string_view name) {
  std::string known;
  for (const auto& info : methods()) {
    if (info.name == name) return info.method;
    known += (known.empty() ? "" : ", ") + std::string(info.name);
  }
  throw Error(ErrorKind::kUsage, "method '" + std::string(name) + "', expected " + known);
}

HeadChoice parse_heads(std::string_view text) {
  if (text == "mean") return {HeadFusion::kMean, 0};
  if (text == "max") return {HeadFusion::kMax, 0};
  if (text == "min") return {HeadFusion::kMin, 0};
  std::int64_t head = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), head);
  if (error != std::errc{} || end != text.data() + text.size())
    throw Error(ErrorKind::kUsage, "head '" + std::string(text) + "', expected a number, mean, max or min");
  return {HeadFusion::kOne, head};
}

std::string heads_name(const HeadChoice& heads) {
  switch (heads.fusion) {
    case HeadFusion::kMean: return "mean";
    case HeadFusion::kMax: return "max";
    case HeadFusion::kMin: return "min";
    case HeadFusion::kOne: break;
  }
  return std::to_string(heads.head);
}

}  // namespace fovea::analysis
