// Stands in for cuda_backends.cpp in a build without CUDA kernels: the rows exist and say why they cannot run.
#include "core/attention/backends.h"

namespace fovea {
namespace {

const std::string kAbsent = "this build has no CUDA kernels (no nvcc was found when it was configured)";

[[noreturn]] void fail() { TORCH_CHECK(false, "local_global_attention: ", kAbsent); }

}  // namespace

namespace sm90_backend {
std::string unavailable() { return kAbsent; }
std::string forward_unsupported(const AttentionCall&) { return kAbsent; }
AttentionResult forward(const AttentionCall&) { fail(); }
std::string backward_unsupported(const AttentionCall&) { return kAbsent; }
AttentionGradients backward(const AttentionGradientCall&) { fail(); }
}  // namespace sm90_backend

namespace sm80_backend {
std::string unavailable() { return kAbsent; }
std::string forward_unsupported(const AttentionCall&) { return kAbsent; }
AttentionResult forward(const AttentionCall&) { fail(); }
std::string backward_unsupported(const AttentionCall&) { return kAbsent; }
AttentionGradients backward(const AttentionGradientCall&) { fail(); }
}  // namespace sm80_backend

}  // namespace fovea
