// Questions to a probe, and their answers: one place for all that `fovea attend` and the viewer can show.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/attention/analysis/probe.h"
#include "core/attention/analysis/rollout.h"
#include "core/base/torch.h"

namespace fovea::analysis {

enum class Method {
  kRow, kColumn, kRollout, kRolloutFrom, kField, kNormWeighted,   // of chosen tokens
  kEntropy, kDistance, kGlobalMass,                               // of every token of a layer
  kKeptMass, kVariation, kDivergence,                             // of every token of a layer against a sparsity pattern
  kPattern, kChanged,                                             // the model run with another pattern: what becomes of its last features
                                                                  // (cosine) and classes (share of a token's pixels that get another)
  kSimilarity, kPca, kNorms,                                      // of features
};

struct MethodInfo {
  Method method;
  std::string_view name;          // on the command line
  std::string_view what;          // one line for people
  bool needs_tokens, by_head;     // asks about chosen tokens; answers differ by head
  bool of_one_layer;              // else of the model, whatever Query::layer says
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
  RolloutPaths paths = RolloutPaths::kAll;        // rollouts
  bool count_paths = false;                       // rollouts of all paths: also says how much passes through global tokens
  bool from_kept = true;                          // rollouts: from what the probe keeps, in half precision; else from queries and keys
  std::optional<double> pixel_metres{};           // for distances; the model's training pixels if not given
  std::int64_t window = 17, dilation = 1;         // patterns: tokens, odd
  std::optional<std::int64_t> kept_globals{};     // patterns: globals that stay; all if not given
  std::optional<std::vector<std::int64_t>> dense_layers{};   // kPattern, kChanged: hybrid, layers that stay dense
  std::optional<GridRect> focus{};                // methods that answer for every token: of these only (a region without its halo)
};

// Error{kUsage}, one sentence, unless this model can answer: methods, layers, heads, global tokens, patterns that do not exist or make no
// sense. answer() asks it; before an encoder has run for minutes others may. Tokens of the grid are checked when the grid is known.
void check_query(const Query& query, const ModelConfig& config);

// What of a question is convention or heuristic rather than measured, one sentence each.
std::vector<std::string> heuristics_of(const Query& query);

struct Answer {
  torch::Tensor plane{};          // [rect.height, rect.width] float32 on the CPU (empty for kPca)
  torch::Tensor rgb{};            // [rect.height, rect.width, 3] uint8: kPca
  GridRect rect{};                // of the probe's grid: all of it, or the focus
  std::string unit{};             // of the plane: "share of attention", "tokens", ...
  std::optional<std::array<double, 2>> bounds{};  // of the plane, where its numbers have any: 0 ... 1 of a share
  torch::Tensor asked{};          // [rect.height, rect.width] bool on the CPU: the tokens asked about; undefined without, and for globals
  std::string note{};             // what a caption adds: a mean, what bounds the numbers, ...
  // Sets of tokens to be outlined: the field's 50 % and 90 %, outliers.
  struct Outline {
    torch::Tensor inside{};      // [rect.height, rect.width] bool, CPU
    std::string name{};
    std::int64_t smallest = 1;   // of its connected parts and holes, in tokens, that is worth a line in a picture
  };
  std::vector<Outline> outlines{};
  nlohmann::json numbers = nlohmann::json::object();
};

// Errors: those of check_query(); Error{kUsage}: tokens outside the grid; Error{kEnvironment}: too large; Error{kCancelled}.
Answer answer(AttentionProbe& probe, const Query& query, Progress& progress, const std::stop_token& stop);

}  // namespace fovea::analysis
