// Attention rollout: attention followed through all layers.
#pragma once

#include <optional>
#include <stop_token>
#include <vector>

#include "core/attention/analysis/attention_layer.h"
#include "core/base/progress.h"

namespace fovea::analysis {

enum class RolloutDirection {
  kToInput,     // row: which input tokens the chosen tokens of the last layer depend on
  kFromInput,   // column: which tokens of the last layer depend on the chosen input tokens
};

enum class RolloutPaths {
  kAll,
  kLocal,   // those that touch no global token: what is left of the mass is the share of paths from token to token. Needs nothing from
            // beyond the windows' reach, so that it is exact on a region with its halo
};

// Abnar & Zuidema 2020, "Quantifying attention flow in transformers": with B_l = a A_l + (1 - a) I, a = 0.5,
//     rollout = B_L ... B_2 B_1,   kToInput: r B_L ... B_1,   kFromInput: B_L ... B_1 c.
// Exact: banded products layer by layer, never an N x N matrix. Without global tokens the support grows by the window's reach a layer and
// nothing else is touched; with them it is the whole grid from the second layer on.
//
// Caveats. The weight a of attention against the residual stream is a convention, not measured; other values, and fusing heads by maximum
// or minimum (rows are then scaled to sum to 1 again), are heuristics. Rollout ignores values, MLPs and signs: it shows where information
// can come from, not what was used (relevance: Chefer et al. 2021).
struct RolloutOptions {
  HeadChoice heads{};
  double attention_share = 0.5;               // a, in [0, 1]
  std::int64_t first_layer = 0;               // 0-based, inclusive
  std::optional<std::int64_t> last_layer{};   // inclusive; the stack's last one if not given
  RolloutDirection direction = RolloutDirection::kToInput;
  RolloutPaths paths = RolloutPaths::kAll;
};

// start: the tokens asked about; for kToInput its weights are scaled to sum to 1 (then so does the result). Reports layers done.
// Errors: Error{kUsage} for layers, heads or shares that do not exist, local paths from a global token; Error{kCancelled}.
TokenMap rollout(const LayerStack& layers, const TokenMap& start, const RolloutOptions& options, Progress& progress, std::stop_token stop);
TokenMap rollout(const LayerStack& layers, const TokenMap& start, const RolloutOptions& options);

// How far a token's rollout reaches: the effective receptive field (Luo et al. 2016, here of attention instead of gradients).
struct ReceptiveField {
  GridRect bounds{};                          // of all tokens with any mass
  std::int64_t support_tokens = 0;
  double global_mass = 0;                     // share of the mass that ends on global tokens
  struct Contour {
    double share = 0;                         // of the mass on the grid
    double threshold = 0;                     // the tokens with at least this much hold it: the smallest such set
    std::int64_t tokens = 0;
    double radius = 0;                        // tokens: of the disc with as many
  };
  std::vector<Contour> contours{};
};
ReceptiveField receptive_field(const TokenMap& rollout_to_input, const std::vector<double>& shares = {0.5, 0.9});

}  // namespace fovea::analysis
