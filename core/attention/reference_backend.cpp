#include <algorithm>

#include "core/attention/backends.h"
#include "core/attention/reference_masked.h"
#include "core/attention/reference_tiles.h"

namespace fovea::reference_backend {

std::string unavailable() { return {}; }

std::string forward_unsupported(const AttentionCall& call) { return {}; }

std::string backward_unsupported(const AttentionCall& call) { return {}; }

AttentionResult forward(const AttentionCall& call) {
  return reference_masked::is_applicable(call) ? reference_masked::forward(call) : reference_tiles::forward(call);
}

AttentionGradients backward(const AttentionGradientCall& call) {
  const bool fast = reference_masked::is_applicable(call.call) && !call.grad_lse.defined();
  return fast ? reference_masked::backward(call) : reference_tiles::backward(call);
}

}  // namespace fovea::reference_backend
