// One namespace a back end: what the rows of the table point to (AttentionBackend says what each function means).
#pragma once

#include <string>

#include "core/attention/attention_call.h"

namespace fovea {

// TMA and wgmma: Hopper.
namespace sm90_backend {
std::string unavailable();
std::string forward_unsupported(const AttentionCall& call);
AttentionResult forward(const AttentionCall& call);
std::string backward_unsupported(const AttentionCall& call);
AttentionGradients backward(const AttentionGradientCall& call);
}  // namespace sm90_backend

// mma.sync and cp.async: every NVIDIA GPU since Ampere.
namespace sm80_backend {
std::string unavailable();
std::string forward_unsupported(const AttentionCall& call);
AttentionResult forward(const AttentionCall& call);
std::string backward_unsupported(const AttentionCall& call);
AttentionGradients backward(const AttentionGradientCall& call);
}  // namespace sm80_backend

// SIMD on the CPU.
namespace cpu_backend {
std::string unavailable();
std::string forward_unsupported(const AttentionCall& call);
AttentionResult forward(const AttentionCall& call);
std::string backward_unsupported(const AttentionCall& call);
AttentionGradients backward(const AttentionGradientCall& call);
}  // namespace cpu_backend

// Plain torch, any device and dtype.
namespace reference_backend {
std::string unavailable();
std::string forward_unsupported(const AttentionCall& call);
AttentionResult forward(const AttentionCall& call);
std::string backward_unsupported(const AttentionCall& call);
AttentionGradients backward(const AttentionGradientCall& call);
}  // namespace reference_backend

}  // namespace fovea
