// The operator on NVIDIA GPUs. Back ends: sm90 (TMA, wgmma) and sm80 (mma.sync, cp.async; every GPU since Ampere).
//
// Kernels never allocate, synchronise or keep state; they launch on the given stream, so that they can be captured in a CUDA graph.
// Whoever calls allocates the workspace (device memory, 256-byte aligned, contents undefined before and after).
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "kernels/attention_params.h"

namespace fovea::kernels {

// compute_capability: 10 * major + minor of the device that will run, for example 90.
namespace sm90 {
const char* forward_unsupported(const AttentionForward& parameters, int compute_capability);   // nullptr, or the reason
std::size_t forward_workspace_bytes(const AttentionForward& parameters);
cudaError_t attention_forward(const AttentionForward& parameters, void* workspace, cudaStream_t stream);
const char* backward_unsupported(const AttentionBackward& parameters, int compute_capability);
std::size_t backward_workspace_bytes(const AttentionBackward& parameters);
cudaError_t attention_backward(const AttentionBackward& parameters, void* workspace, cudaStream_t stream);
}  // namespace sm90

namespace sm80 {
const char* forward_unsupported(const AttentionForward& parameters, int compute_capability);
std::size_t forward_workspace_bytes(const AttentionForward& parameters);
cudaError_t attention_forward(const AttentionForward& parameters, void* workspace, cudaStream_t stream);
const char* backward_unsupported(const AttentionBackward& parameters, int compute_capability);
std::size_t backward_workspace_bytes(const AttentionBackward& parameters);
cudaError_t attention_backward(const AttentionBackward& parameters, void* workspace, cudaStream_t stream);
}  // namespace sm80

}  // namespace fovea::kernels
