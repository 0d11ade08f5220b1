// What torch and the allocators throw when memory runs out, as something that a person can act on.
#pragma once

#include <optional>
#include <string>

namespace fovea {

struct MemoryShortage {
  std::string text;         // one clause without subject or full stop, as "not enough memory on the device: needs 1024.00 MiB more, but only
                            // 405.39 MiB of 79.18 GiB are free"
  bool on_device = false;   // not the host's memory
};

// What texts of shortages on a device begin with.
inline constexpr const char* kDeviceShortage = "not enough memory on the device";

// Called while an exception is handled: how memory ran out, if it says that. None for every other exception.
std::optional<MemoryShortage> memory_shortage();

}  // namespace fovea
