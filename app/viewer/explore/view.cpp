#include "app/viewer/explore/view.h"

#include <algorithm>
#include <array>

namespace fovea::explore {
namespace {

constexpr std::array kChoices{
    MethodChoice{"row", "Row: where it looks", "The tokens that the chosen ones take values from, in one layer", true, true},
    MethodChoice{"column", "Column: who looks at it", "The tokens that take values from the chosen ones, in one layer", true, true},
    MethodChoice{"norm-weighted", "Row, weighted by values", "Each weight times the norm of what is read there (Kobayashi et al. 2020)",
                 true, true},
    MethodChoice{"rollout", "Rollout: what it depends on", "Attention followed down to the input, from this layer (Abnar & Zuidema 2020)",
                 true, true},
    MethodChoice{"rollout-from", "Rollout: what depends on it", "Attention followed up from the input, to this layer", true, true},
    MethodChoice{"similarity", "Similar features", "Cosine of every token's features to those of the chosen ones", true, false},
    MethodChoice{"entropy", "Entropy", "0: a token looks at one place, 1: at all in its window alike", false, true},
    MethodChoice{"distance", "Distance", "How far tokens look, on average", false, true},
    MethodChoice{"global-mass", "Mass on global tokens", "The share of each token's attention that goes to the global tokens", false, true},
    MethodChoice{"kept-mass", "Mass kept by a window", "The share of dense attention, among 48 x 48 tokens, that a window would keep",
                 false, true},
    MethodChoice{"pca", "Features as colours", "Three principal components of the features; colours of two images cannot be compared",
                 false, false},
    MethodChoice{"norms", "Norm of features", "Few tokens of very high norm hold global information (Darcet et al. 2024)", false, false},
};

}  // namespace

std::span<const MethodChoice> method_choices() { return kChoices; }

const MethodChoice& method_choice(std::string_view method) {
  const auto found = std::find_if(kChoices.begin(), kChoices.end(), [&](const MethodChoice& choice) { return method == choice.method; });
  return found == kChoices.end() ? kChoices.front() : *found;
}

}  // namespace fovea::explore
