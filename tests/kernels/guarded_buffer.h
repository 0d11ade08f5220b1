// Memory between two red zones, poisoned with NaN: a kernel that writes outside is caught, and so is one that leaves something out.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace fovea::test {

// A bfloat16 as its bits.
struct BFloat16 {
  std::uint16_t bits = 0;
  static BFloat16 rounded(float number) {   // to nearest even
    std::uint32_t word;
    std::memcpy(&word, &number, sizeof word);
    if (std::isnan(number)) return {0x7FC0};
    return {static_cast<std::uint16_t>((word + 0x7FFF + ((word >> 16) & 1)) >> 16)};
  }
  float wide() const {
    const std::uint32_t word = std::uint32_t{bits} << 16;
    float number;
    std::memcpy(&number, &word, sizeof number);
    return number;
  }
};

inline float to_float(float number) { return number; }
inline float to_float(BFloat16 number) { return number.wide(); }
inline void from_float(float number, float& to) { to = number; }
inline void from_float(float number, BFloat16& to) { to = BFloat16::rounded(number); }

template <class Element>
class GuardedBuffer {
 public:
  explicit GuardedBuffer(std::size_t count) : memory_(count + 2 * kGuard) {
    for (Element& element : memory_) from_float(std::numeric_limits<float>::quiet_NaN(), element);
    for (std::size_t i = 0; i < kGuard; ++i) {
      from_float(kGuardValue, memory_[i]);
      from_float(kGuardValue, memory_[memory_.size() - 1 - i]);
    }
  }
  Element* data() { return memory_.data() + kGuard; }
  const Element* data() const { return memory_.data() + kGuard; }
  std::size_t size() const { return memory_.size() - 2 * kGuard; }

  bool guards_intact() const {
    for (std::size_t i = 0; i < kGuard; ++i) {
      if (to_float(memory_[i]) != kGuardValue || to_float(memory_[memory_.size() - 1 - i]) != kGuardValue) return false;
    }
    return true;
  }
  std::size_t poisoned() const {
    return static_cast<std::size_t>(
        std::count_if(data(), data() + size(), [](Element element) { return std::isnan(to_float(element)); }));
  }

 private:
  static constexpr std::size_t kGuard = 1024;
  static constexpr float kGuardValue = 12352.0F;   // also a bfloat16
  std::vector<Element> memory_;
};

}  // namespace fovea::test
