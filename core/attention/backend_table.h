// The back ends of the operator and the choice between them. A new back end is one row in backend_table.cpp.
#pragma once

#include <span>
#include <string>

#include "core/attention/attention_call.h"

namespace fovea {

// Reasons are phrases such as "head_dim 48, expected 32, 64 or 128"; "" means that nothing stands in the way.
struct AttentionBackend {
  const char* name;
  std::string (*unavailable)();                                     // in this build, on this machine
  std::string (*forward_unsupported)(const AttentionCall&);
  AttentionResult (*forward)(const AttentionCall&);
  std::string (*backward_unsupported)(const AttentionCall&);
  AttentionGradients (*backward)(const AttentionGradientCall&);
};

// All rows, in the order in which they are asked.
std::span<const AttentionBackend> attention_backend_table();

// The forced back end, else the first that accepts. Errors: c10::Error that gives the reason.
const AttentionBackend& choose_forward_backend(const AttentionCall& call);
const AttentionBackend& choose_backward_backend(const AttentionCall& call);

// Chooses, runs, and remembers the name for last_attention_backend(). Empty tensors are answered without asking any back end.
AttentionResult run_forward(const AttentionCall& call);
AttentionGradients run_backward(const AttentionGradientCall& call);

}  // namespace fovea
