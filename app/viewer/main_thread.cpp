#include "app/viewer/main_thread.h"

namespace fovea {

void MainThread::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  if (wake) wake();
}

void MainThread::run_posted() {
  std::vector<std::function<void()>> now;
  {
    const std::lock_guard lock(mutex_);
    now.swap(posted_);
  }
  for (const auto& work : now) work();
}

}  // namespace fovea
