// The stream that torch queues work on, for kernels that are not torch's. No CUDA types: libtorch_cuda.so is loaded at run time.
#pragma once

#include <ATen/core/Tensor.h>

namespace fovea {

// cudaStream_t of the device's current stream.
void* current_device_stream(at::Device device);

}  // namespace fovea
