// What the parts of answer() share; query.h is what others include.
#pragma once

#include "core/attention/analysis/query.h"

namespace fovea::analysis {

struct Asked {
  AttentionProbe& probe;
  const Query& query;
  Progress& progress;
  const std::stop_token& stop;
  std::int64_t layer_index() const { return query.layer < 0 ? probe.depth() - 1 : query.layer; }
  const AttentionLayer& layer() const { return probe.layer(layer_index()); }
  std::int64_t patch() const { return probe.model().config().encoder.patch; }
  GridRect focus() const { return query.focus.value_or(GridRect{0, 0, probe.grid()[0], probe.grid()[1]}); }
  // The focus of planes [..., H, W, ...] whose grid rows are dimension `rows`.
  torch::Tensor in_focus(const torch::Tensor& planes, std::int64_t rows) const {
    const auto rect = focus();
    return planes.narrow(rows, rect.y, rect.height).narrow(rows + 1, rect.x, rect.width);
  }
};

// Error{kUsage} where there are none.
TokenMap chosen_tokens(const Asked& asked);

Answer answer_statistics(const Asked& asked);   // answers_of_layers.cpp: entropy, distance, mass on globals
Answer answer_features(const Asked& asked);     // similarity, principal components, norms
Answer answer_kept_mass(const Asked& asked);    // answers_of_patterns.cpp
Answer answer_pattern(const Asked& asked);

// A tensor's numbers in float64.
nlohmann::json list(const torch::Tensor& values);

// Means over tokens of planes [heads, H, W]: a number a head.
inline torch::Tensor mean_by_head(const torch::Tensor& planes) { return planes.mean(torch::IntArrayRef{1, 2}, false, torch::kDouble); }

}  // namespace fovea::analysis
