// How much memory the host has left. No torch.
#pragma once

#include <cstdint>

namespace fovea {

// Bytes that this process can still get: what the kernel calls available, less if the control group allows less.
std::int64_t available_host_memory();
// Resident memory of this process.
std::int64_t resident_memory();

}  // namespace fovea
