// Memory between two red zones, poisoned with NaN: a kernel that writes outside is caught, and so is one that leaves something out.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace fovea::test {

class GuardedBuffer {
 public:
  explicit GuardedBuffer(std::size_t floats) : memory_(floats + 2 * kGuard, std::numeric_limits<float>::quiet_NaN()) {
    for (std::size_t i = 0; i < kGuard; ++i) memory_[i] = memory_[memory_.size() - 1 - i] = kGuardValue;
  }
  float* data() { return memory_.data() + kGuard; }
  std::size_t size() const { return memory_.size() - 2 * kGuard; }

  bool guards_intact() const {
    for (std::size_t i = 0; i < kGuard; ++i) {
      if (memory_[i] != kGuardValue || memory_[memory_.size() - 1 - i] != kGuardValue) return false;
    }
    return true;
  }
  std::size_t poisoned() const {
    std::size_t count = 0;
    for (std::size_t i = kGuard; i < memory_.size() - kGuard; ++i) count += std::isnan(memory_[i]) ? 1 : 0;
    return count;
  }

 private:
  static constexpr std::size_t kGuard = 1024;
  static constexpr float kGuardValue = 12345.0F;
  std::vector<float> memory_;
};

}  // namespace fovea::test
