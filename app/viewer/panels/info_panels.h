// The panels "Log" and "Statistics": what the program had to say, and what it costs.
#pragma once

#include <array>

#include "app/viewer/workspace.h"

namespace fovea {

// Times of the last frames, newest last.
class FrameTimes {
 public:
  static constexpr std::size_t kKept = 240;
  void add(double elapsed_ms) {
    times_[next_] = static_cast<float>(elapsed_ms);
    next_ = (next_ + 1) % kKept;
  }
  const std::array<float, kKept>& ring() const { return times_; }
  int next() const { return static_cast<int>(next_); }
  double slowest_ms() const;

 private:
  std::array<float, kKept> times_{};
  std::size_t next_ = 0;
};

void add_log_panel(Workspace& workspace);
// times: of our own work in a frame, without waiting for the screen; lives as long as the workspace.
void add_statistics_panel(Workspace& workspace, const FrameTimes& times);

}  // namespace fovea
