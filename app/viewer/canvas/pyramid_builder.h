// Builds the cache file of an image's pyramid on a thread of its own, and learns what else takes reading.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "core/image/pyramid.h"

namespace fovea {

class PyramidBuilder {
 public:
  // on_change: called from the thread.
  PyramidBuilder(std::shared_ptr<PyramidImage> image, std::function<void()> on_change);
  // Stops the build, which then leaves nothing behind, and waits for its thread.
  ~PyramidBuilder() = default;

  int white_level() const { return white_level_; }       // ImageSource::white_level(); 0: not known yet
  // 0 to 1 while it builds; below 0: nothing to do, or done.
  float progress() const { return progress_; }
  std::string take_error();                              // "" if there is none

 private:
  void work(const std::stop_token& stop);
  std::shared_ptr<PyramidImage> image_;
  std::function<void()> on_change_;
  std::atomic<int> white_level_{0};
  std::atomic<float> progress_{-1};
  std::mutex mutex_;
  std::string error_;
  std::jthread thread_;                                  // last: joined before the rest is destroyed
};

}  // namespace fovea
