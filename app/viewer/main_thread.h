// How workers hand results to the main thread: post() a function, it runs in the next frame.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace fovea {

class MainThread {
 public:
  // From any thread. Wakes the program.
  void post(std::function<void()> work);
  // Main thread, once a frame.
  void run_posted();
  // What wakes the program; set once at the start.
  std::function<void()> wake;

 private:
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
};

}  // namespace fovea
