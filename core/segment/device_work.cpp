#include "core/segment/device_work.h"

#include <ATen/DeviceAccelerator.h>

namespace fovea {
namespace {

constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);

}  // namespace

void finish_device_work(torch::Device device) {
  if (!device.is_cpu()) at::accelerator::synchronizeDevice(device.index());
}

DeviceMemory device_memory(torch::Device device) {
  if (device.is_cpu()) return {};
  const auto stats = at::accelerator::getDeviceStats(device.index());
  const std::int64_t reusable = stats.reserved_bytes[kAll].current - stats.allocated_bytes[kAll].current;
  return {.free = static_cast<std::int64_t>(at::accelerator::getMemoryInfo(device.index()).first) + reusable,
          .peak = stats.reserved_bytes[kAll].peak};
}

void reset_peak_device_memory(torch::Device device) {
  if (!device.is_cpu()) at::accelerator::resetPeakStats(device.index());
}

void release_device_memory(torch::Device device) {
  if (!device.is_cpu()) at::accelerator::emptyCache();
}

}  // namespace fovea
