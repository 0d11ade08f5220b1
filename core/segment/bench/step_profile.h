// Where the time of a run goes, kernel by kernel on a GPU and operation by operation on the CPU, by torch's profiler.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/torch.h"

namespace fovea {

struct ProfileEntry {
  std::string name;
  double seconds = 0;        // on the CPU without the operations inside it
  std::int64_t calls = 0;
};

struct StepProfile {
  std::vector<ProfileEntry> entries;   // the longest first
  double busy_seconds = 0;             // their sum
  double wall_seconds = 0;
};

// Runs work in the calling thread and waits for the device. Profiling costs time of its own: other measurements stay apart.
StepProfile profile_steps(torch::Device device, const std::function<void()>& work);

}  // namespace fovea
