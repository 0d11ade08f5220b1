#include "backends.h"

#include <cstring>

namespace fovea::check {
namespace {

constexpr Backend kBackends[] = {
    {"sm90", kernels::sm90::forward_unsupported, kernels::sm90::forward_workspace_bytes, kernels::sm90::attention_forward,
     kernels::sm90::backward_unsupported, kernels::sm90::backward_workspace_bytes, kernels::sm90::attention_backward},
    {"sm80", kernels::sm80::forward_unsupported, kernels::sm80::forward_workspace_bytes, kernels::sm80::attention_forward,
     kernels::sm80::backward_unsupported, kernels::sm80::backward_workspace_bytes, kernels::sm80::attention_backward},
};

}  // namespace

const Backend* find_backend(const char* name) {
  for (const Backend& backend : kBackends)
    if (std::strcmp(backend.name, name) == 0) return &backend;
  return nullptr;
}

}  // namespace fovea::check
