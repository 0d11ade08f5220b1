// The reference's way through any grid: tiles of queries, each with the rectangle of keys that its windows touch. Cost linear in N.
#pragma once

#include "core/attention/attention_call.h"

namespace fovea::reference_tiles {

// Computed in float64 for float64 inputs, else in float32. Any device. lse in the dtype of the computation.
AttentionResult forward(const AttentionCall& call);
AttentionGradients backward(const AttentionGradientCall& call);

}  // namespace fovea::reference_tiles
