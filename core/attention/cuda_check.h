// The one way in which a failed call of our CUDA kernels becomes an exception.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "core/base/device_error.h"

namespace fovea {

// DeviceError "WHAT: CUDA error: an illegal memory access was encountered" unless the call succeeded.
inline void check_cuda(cudaError_t status, const std::string& what) {
  if (status == cudaSuccess) return;
  const auto cause = status == cudaErrorMemoryAllocation ? DeviceError::Cause::kMemory : DeviceError::Cause::kOther;
  throw DeviceError(cause, what + ": CUDA error: " + cudaGetErrorString(status));
}

}  // namespace fovea
