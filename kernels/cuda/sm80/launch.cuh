// Host side: launches.
#pragma once

#include <algorithm>

#include "kernels/cuda/dispatch.h"
#include "kernels/cuda/sm80/pass.cuh"
#include "kernels/cuda/sm80/plan.h"
#include "kernels/cuda/sm80/tuning.h"

namespace fovea::kernels::sm80 {

struct Device {
  int multiprocessors, shared_bytes, shared_bytes_of_block;        // of a multiprocessor, and the most that a thread block may have
};
inline cudaError_t current_device(Device& device) {
  int index = 0;
  cudaError_t error = cudaGetDevice(&index);
  const auto ask = [&](int& value, cudaDeviceAttr attribute) {
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&value, attribute, index);
  };
  ask(device.multiprocessors, cudaDevAttrMultiProcessorCount);
  ask(device.shared_bytes, cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  ask(device.shared_bytes_of_block, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  return error;
}

constexpr int kStaticSharedBytes = 2048;        // of a thread block: its work and barriers, and what the driver keeps for itself

// Shared memory for the ring of a pass whose thread blocks keep the global tokens besides.
template <class Pass>
int ring_bytes(const Device& device, int global_tokens) {
  const int share = std::min(device.shared_bytes_of_block, device.shared_bytes / Pass::Tuning::kResidentBlocks) - kStaticSharedBytes;
  return share - Pass::Room::bytes(global_blocks(global_tokens));
}

// What a pass does with a shape on the current device.
template <class Pass>
struct PassLaunch {
  using Tuning = typename Pass::Tuning;
  Plan plan;
  int shared_bytes = 0;
  cudaError_t error;

  explicit PassLaunch(const AttentionShape& shape) {
    Device device{};
    error = current_device(device);
    if (error != cudaSuccess) return;
    plan = make_plan(shape, {Tuning::kWarps, Tuning::kSubtiles, Tuning::kStageBlocks, device.multiprocessors * Tuning::kResidentBlocks,
                             Pass::kPartialFloats});
    fit_ring(plan.layout, ring_bytes<Pass>(device, shape.global_tokens), Pass::Room::bytes);
    shared_bytes = globals_bytes<typename Pass::Room>(plan.layout) + plan.layout.stages * Pass::Room::bytes(plan.layout.stage_blocks);
  }

  cudaError_t run(Arguments& arguments, cudaStream_t stream) const {
    if (error != cudaSuccess) return error;
    arguments.layout = plan.layout;
    arguments.heads = plan.heads;
    const cudaError_t set = cudaFuncSetAttribute(run_pass<Pass>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
    if (set != cudaSuccess) return set;
    run_pass<Pass><<<unsigned(plan.thread_blocks), (Tuning::kWarps + 2) * 32, shared_bytes, stream>>>(arguments);
    return cudaGetLastError();
  }
};

}  // namespace fovea::kernels::sm80
