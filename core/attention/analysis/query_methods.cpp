// The questions that there are, by name.
#include <algorithm>
#include <charconv>

#include "core/attention/analysis/query.h"
#include "core/base/error.h"

namespace fovea::analysis {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kUsage, what); }

void check_layer_exists(std::int64_t layer, const EncoderConfig& encoder) {
  if (layer >= 0 && layer < encoder.depth) return;
  refuse("layer " + std::to_string(layer) + " does not exist: the model has layers 0 to " + std::to_string(encoder.depth - 1));
}

bool is_rollout(Method method) { return method == Method::kRollout || method == Method::kRolloutFrom || method == Method::kField; }

bool compares_patterns(Method method) {
  return method == Method::kKeptMass || method == Method::kVariation || method == Method::kDivergence || method == Method::kPattern ||
         method == Method::kChanged;
}

void check_pattern(const Query& query, const ModelConfig& config) {
  if (query.window < 1 || query.window % 2 == 0) refuse("window " + std::to_string(query.window) + ": must be odd and positive");
  if (query.dilation < 1) refuse("dilation " + std::to_string(query.dilation) + ": must be at least 1");
  const auto kept = query.kept_globals.value_or(0), globals = config.encoder.global_tokens;
  if (kept < 0 || kept > globals) refuse(std::to_string(kept) + " global tokens: the model has " + std::to_string(globals));
  for (const auto layer : query.dense_layers.value_or(std::vector<std::int64_t>{})) check_layer_exists(layer, config.encoder);
  if (query.method == Method::kChanged && !config.decoder)
    refuse("method changed compares predicted classes: this model is a backbone and predicts none");
}

}  // namespace

void check_query(const Query& query, const ModelConfig& config) {
  const auto& encoder = config.encoder;
  const auto& info = method_info(query.method);
  if (query.layer >= 0) check_layer_exists(query.layer, encoder);
  if (query.heads.fusion == HeadFusion::kOne && (query.heads.head < 0 || query.heads.head >= encoder.heads)) {
    refuse("head " + std::to_string(query.heads.head) + " does not exist: the layer has heads 0 to " + std::to_string(encoder.heads - 1));
  }
  const auto global = query.tokens.global_token;
  if (info.needs_tokens && global && (*global < 0 || *global >= encoder.global_tokens)) {
    refuse("global token " + std::to_string(*global) + " does not exist: the model has " + std::to_string(encoder.global_tokens));
  }
  if (query.method == Method::kNormWeighted && (query.heads.fusion == HeadFusion::kMax || query.heads.fusion == HeadFusion::kMin))
    refuse("norm-weighted attention is defined for one head or for all together (mean)");
  if (is_rollout(query.method)) {
    if (!(query.attention_share >= 0 && query.attention_share <= 1)) refuse("the share of attention must lie in 0 ... 1");
    if (query.paths == RolloutPaths::kLocal && global) refuse("local paths begin at tokens of the grid, not at a global token");
  }
  if (compares_patterns(query.method)) check_pattern(query, config);
}

const std::vector<MethodInfo>& methods() {
  static const std::vector<MethodInfo> kMethods{
      {Method::kRow, "row", "where the tokens look", true, true, true, 1},
      {Method::kColumn, "column", "who looks at the tokens", true, true, true, 2},
      {Method::kRollout, "rollout", "which input the tokens depend on through all layers", true, true, true, 1},
      {Method::kRolloutFrom, "rollout-from", "which output depends on the tokens as input", true, true, true, 2},
      {Method::kField, "field", "effective receptive field: 50 % and 90 % of the rollout", true, true, true, 1},
      {Method::kNormWeighted, "norm-weighted", "row weighted by the norm of what is read", true, true, true, 1},
      {Method::kEntropy, "entropy", "entropy of every row, 1: uniform", false, true, true, 1},
      {Method::kDistance, "distance", "mean distance of what every row looks at", false, true, true, 1},
      {Method::kGlobalMass, "global-mass", "share of attention on global tokens", false, true, true, 1},
      {Method::kKeptMass, "kept-mass", "share of dense attention inside --window", false, true, true, 1},
      {Method::kVariation, "variation", "total variation of rows, dense against --window", false, true, true, 1},
      {Method::kDivergence, "divergence", "Jensen-Shannon divergence of rows, dense against --window", false, true, true, 1},
      {Method::kPattern, "pattern", "cosine of the last features, this model against itself with --window", false, false, false, 1},
      {Method::kChanged, "changed", "share of pixels whose class changes with --window", false, false, false, 1},
      {Method::kSimilarity, "similarity", "cosine of features to the tokens'", true, false, true, 1},
      {Method::kPca, "pca", "principal components of features as colours", false, false, true, 1},
      {Method::kNorms, "norms", "norm of features; flags outliers", false, false, true, 1},
  };
  return kMethods;
}

const MethodInfo& method_info(Method method) {
  return *std::find_if(methods().begin(), methods().end(), [&](const MethodInfo& info) { return info.method == method; });
}

bool answers_for_every_token(Method method) { return !method_info(method).needs_tokens || method == Method::kSimilarity; }

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

std::vector<std::string> heuristics_of(const Query& query) {
  std::vector<std::string> heuristics;
  const bool rollout = is_rollout(query.method);
  const bool maximum = query.heads.fusion == HeadFusion::kMax, minimum = query.heads.fusion == HeadFusion::kMin;
  if (rollout) {
    heuristics.push_back("the share of attention against the residual stream is set, not measured");
    if (query.heads.fusion == HeadFusion::kMean) heuristics.push_back("all heads weigh alike");
  }
  if (method_info(query.method).by_head && (maximum || minimum)) {
    const std::string fused = maximum ? "maximum over heads: " : "minimum over heads: ";
    heuristics.push_back(fused + (rollout ? "rows are scaled to sum to 1 again" : "its rows do not sum to 1"));
  }
  if (query.method == Method::kNorms) heuristics.push_back("outliers lie six deviations above the median");
  return heuristics;
}

}  // namespace fovea::analysis
