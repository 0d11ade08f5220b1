#include "core/attention/backend_table.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <array>
#include <atomic>
#include <cstdlib>

#include "core/attention/backends.h"
#include "core/base/error.h"

namespace fovea {
namespace {

const std::array<AttentionBackend, 4> kTable{{
    {"sm90", sm90_backend::unavailable, sm90_backend::forward_unsupported, sm90_backend::forward, sm90_backend::backward_unsupported,
     sm90_backend::backward},
    {"sm80", sm80_backend::unavailable, sm80_backend::forward_unsupported, sm80_backend::forward, sm80_backend::backward_unsupported,
     sm80_backend::backward},
    {"cpu", cpu_backend::unavailable, cpu_backend::forward_unsupported, cpu_backend::forward, cpu_backend::backward_unsupported,
     cpu_backend::backward},
    {"reference", reference_backend::unavailable, reference_backend::forward_unsupported, reference_backend::forward,
     reference_backend::backward_unsupported, reference_backend::backward},
}};

std::atomic<const char*> last_backend{""};

std::string known_names() {
  std::string names;
  for (const AttentionBackend& backend : kTable) names += (names.empty() ? "" : ", ") + std::string(backend.name);
  return names;
}

const AttentionBackend* find_backend(std::string_view name) {
  for (const AttentionBackend& backend : kTable) {
    if (name == backend.name) return &backend;
  }
  throw Error(ErrorKind::kUsage, "attention back end \"" + std::string(name) + "\": unknown, expected " + known_names());
}

// Null: automatic choice. FOVEA_ATTENTION is read once, when the first call asks.
std::atomic<const AttentionBackend*>& forced_backend() {
  static std::atomic<const AttentionBackend*> forced = [] {
    const char* name = std::getenv("FOVEA_ATTENTION");
    return name && *name ? find_backend(name) : nullptr;
  }();
  return forced;
}

using Unsupported = std::string (*AttentionBackend::*)(const AttentionCall&);

std::string reason_against(const AttentionBackend& backend, const AttentionCall& call, Unsupported unsupported) {
  std::string reason = backend.unavailable();
  return reason.empty() ? (backend.*unsupported)(call) : reason;
}

const AttentionBackend& choose(const AttentionCall& call, Unsupported unsupported, const char* what) {
  if (const AttentionBackend* forced = forced_backend().load()) {
    const std::string reason = reason_against(*forced, call, unsupported);
    TORCH_CHECK(reason.empty(), "local_global_attention: the forced back end ", forced->name, " cannot run this ", what, ": ", reason);
    return *forced;
  }
  std::string reasons;
  for (const AttentionBackend& backend : kTable) {
    const std::string reason = reason_against(backend, call, unsupported);
    if (reason.empty()) return backend;
    reasons += (reasons.empty() ? "" : "; ") + std::string(backend.name) + ": " + reason;
  }
  TORCH_CHECK(false, "local_global_attention: no back end can run this ", what, " (", reasons, ")");
}

}  // namespace

std::span<const AttentionBackend> attention_backend_table() { return kTable; }

const AttentionBackend& choose_forward_backend(const AttentionCall& call) {
  return choose(call, &AttentionBackend::forward_unsupported, "forward pass");
}

const AttentionBackend& choose_backward_backend(const AttentionCall& call) {
  return choose(call, &AttentionBackend::backward_unsupported, "backward pass");
}

AttentionResult run_forward(const AttentionCall& call) {
  const AttentionBackend& backend = choose_forward_backend(call);
  last_backend = backend.name;
  if (call.query.numel() == 0) {
    const auto lse_dtype = call.query.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    return {at::empty(call.query.sizes(), call.query.options()),
            at::empty({call.batch(), call.heads(), call.tokens()}, call.query.options().dtype(lse_dtype))};
  }
  return backend.forward(call);
}

AttentionGradients run_backward(const AttentionGradientCall& call) {
  const AttentionBackend& backend = choose_backward_backend(call.call);
  last_backend = backend.name;
  if (call.call.query.numel() == 0) {
    return {at::zeros_like(call.call.query), at::zeros_like(call.call.key), at::zeros_like(call.call.value)};
  }
  return backend.backward(call);
}

void force_attention_backend(std::string_view name) { forced_backend() = name.empty() ? nullptr : find_backend(name); }

std::string last_attention_backend() { return last_backend.load(); }

std::vector<BackendStatus> attention_backends() {
  std::vector<BackendStatus> statuses;
  for (const AttentionBackend& backend : kTable) statuses.push_back({backend.name, backend.unavailable()});
  return statuses;
}

}  // namespace fovea
