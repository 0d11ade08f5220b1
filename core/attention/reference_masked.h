// The reference's fast way on a GPU for grids as small as a training crop: torch's memory-efficient attention with the window as a mask.
#pragma once

#include "core/attention/attention_call.h"

namespace fovea::reference_masked {

// True if the tensors are on a GPU, the mask is small, and torch's kernel takes the dtype and head_dim.
bool is_applicable(const AttentionCall& call);

AttentionResult forward(const AttentionCall& call);
// Requires an undefined grad_lse: torch's kernel has no gradient of the lse.
AttentionGradients backward(const AttentionGradientCall& call);

}  // namespace fovea::reference_masked
