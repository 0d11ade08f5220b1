// Where the time of a piece of work went.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace fovea {

// Charges the time since the last mark to one stage after the other; never two at once.
class StageClock {
 public:
  // Everything since construction or the last call belongs to this stage.
  void charge(const std::string& stage) {
    const auto now = std::chrono::steady_clock::now();
    seconds_[stage] += std::chrono::duration<double>(now - mark_).count();
    mark_ = now;
  }
  const std::map<std::string, double>& seconds() const noexcept { return seconds_; }

 private:
  std::chrono::steady_clock::time_point mark_ = std::chrono::steady_clock::now();
  std::map<std::string, double> seconds_;
};

}  // namespace fovea
