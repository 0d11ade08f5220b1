// How far a query sees up and down: what bands of rows overlap by, and what that costs.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/model/config.h"

namespace fovea {

// Rows of tokens above and below a query's that it can see.
inline std::int64_t halo_of(const LayerAttention& attention) {
  return (attention.window[0] - 1) / 2 * *std::max_element(attention.dilation.begin(), attention.dilation.end());
}

inline std::int64_t largest_halo(const EncoderConfig& encoder) {
  std::int64_t largest = 0;
  for (const LayerAttention& attention : encoder.attention) largest = std::max(largest, halo_of(attention));
  return largest;
}

}  // namespace fovea
