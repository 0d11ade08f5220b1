// What the numbers of attention_products.h mean for people: entropies that can be compared, distances in pixels.
#pragma once

#include <ATen/core/Tensor.h>

#include <stop_token>

#include "core/attention/analysis/attention_products.h"

namespace fovea::analysis {

// row_statistics() band by band: a stop is noticed between bands, Error{kCancelled}.
RowStatistics statistics_by_bands(const AttentionLayer& layer, const GridRect& rect, const std::stop_token& stop);

// Keys that each grid query of rect sees, truncated windows at the border included: [heads, rect.height, rect.width] float32.
at::Tensor key_counts(const AttentionLayer& layer, const GridRect& rect);

// Entropy divided by the log of the number of keys: 0 looks at one key, 1 at all alike, whatever the window. 0 where there is one key.
// [heads, rect.height, rect.width] float32. Caveat: uniform attention over a window is not uniform attention over the image.
at::Tensor normalised_entropy(const AttentionLayer& layer, const RowStatistics& statistics);

// The largest distance, in tokens, that a head's window reaches within its grid: mean distances lie below it.
double distance_bound(const AttentionLayer& layer, std::int64_t head);

}  // namespace fovea::analysis
