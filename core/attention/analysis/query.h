// Questions to a probe, and their answers: one place for all that `fovea attend` and the viewer can show.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/attention/analysis/probe.h"
#include "core/base/torch.h"

namespace fovea::analysis {

enum class Method {
  kRow, kColumn, kRollout, kRolloutFrom, kField, kNormWeighted,   // of chosen tokens
  kEntropy, kDistance, kGlobalMass,                               // of every token of a layer
  kKeptMass, kVariation, kDivergence,                             // of every token of a layer against a sparsity pattern
  kPattern,                                                       // the model run with another pattern: cosine of its last features
  kSimilarity, kPca, kNorms,                                      // of features
};

struct MethodInfo {
  Method method;
  std::string_view name;          // on the command line
  std::string_view what;          // one line for people
  bool needs_tokens, by_head;     // asks about chosen tokens; answers differ by head
  int halo;                       // how many times halo_tokens() a region needs to be exact
};
const std::vector<MethodInfo>& methods();
const MethodInfo& method_info(Method method);
// Whether its plane holds a number of every token, not one map of the tokens asked about.
bool answers_for_every_token(Method method);
// Error{kUsage} that lists what there is.
Method parse_method(std::string_view name);
// "mean", "max", "min" or a number. Error{kUsage}.
HeadChoice parse_heads(std::string_view text);
std::string heads_name(const HeadChoice& heads);

// The chosen tokens, in the probe's grid: a rectangle, or a disc of tokens around its centre, or a brush stroke, or one global token.
struct TokenChoice {
  std::optional<GridRect> box{};
  std::optional<double> disc_radius{};            // tokens, around the centre of box
  std::vector<WeightedToken> brush{};
  std::optional<std::int64_t> global_token{};
};

struct Query {
  Method method = Method::kRow;
  TokenChoice tokens{};
  std::int64_t layer = -1;                        // 0-based; -1: the last
  HeadChoice heads{};
  double attention_share = 0.5;                   // rollouts
  std::int64_t window = 17, dilation = 1;         // patterns: tokens, odd
  std::optional<std::int64_t> kept_globals{};     // patterns: globals that stay; all if not given
  std::optional<std::vector<std::int64_t>> dense_layers{};   // kPattern: hybrid, layers that stay dense
  std::optional<GridRect> focus{};                // methods that answer for every token: of these only (a region without its halo)
};

struct Answer {
  torch::Tensor plane{};          // [rect.height, rect.width] float32 on the CPU (empty for kPca)
  torch::Tensor rgb{};            // [rect.height, rect.width, 3] uint8: kPca
  GridRect rect{};                // of the probe's grid: all of it, or the focus
  std::string unit{};             // of the plane: "share of attention", "tokens", ...
  nlohmann::json numbers = nlohmann::json::object();
};

// Error{kUsage}: tokens, layers or heads that do not exist, methods that this model cannot give; Error{kEnvironment}: too large.
Answer answer(AttentionProbe& probe, const Query& query, Progress& progress, const std::stop_token& stop);

}  // namespace fovea::analysis
