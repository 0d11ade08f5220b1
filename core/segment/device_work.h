// What a GPU is still doing, and what it holds. On the CPU all of it is nothing.
#pragma once

#include <cstdint>

#include "core/base/torch.h"

namespace fovea {

// Waits until everything that was asked of the device is done: before a clock is read.
void finish_device_work(torch::Device device);

struct DeviceMemory {
  std::int64_t free = 0;         // bytes that this process can still get, what torch keeps for reuse included
  std::int64_t peak = 0;         // most bytes that torch held from the device since reset_peak_device_memory
};
DeviceMemory device_memory(torch::Device device);
void reset_peak_device_memory(torch::Device device);
// Gives back what torch keeps for reuse.
void release_device_memory(torch::Device device);

}  // namespace fovea
