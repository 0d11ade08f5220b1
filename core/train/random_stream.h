// Random numbers as a function of what they are for.
#pragma once

#include <cstdint>

namespace fovea {

// SplitMix64 (Steele, Lea and Flood 2014), started from a seed and two counters. The trainer draws from stream (seed, step, crop), so
// the state of the generator is the step itself: a resumed run draws what the uninterrupted one would have drawn, and nothing is saved.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::uint64_t first, std::uint64_t second) : state_(mix(mix(mix(seed) + first) + second)) {}

  std::uint64_t bits() { return mix(state_ += kIncrement); }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }                       // [0, 1)
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // 0 ... count - 1, count >= 1. The bias of the product is below count / 2^53.
  std::int64_t below(std::int64_t count) { return static_cast<std::int64_t>(uniform() * static_cast<double>(count)); }

 private:
  static constexpr std::uint64_t kIncrement = 0x9e3779b97f4a7c15u;
  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

}  // namespace fovea
