#include "app/viewer/graveyard.h"

namespace fovea {

Graveyard::Graveyard()
    : thread_([this](const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (changed_.wait(lock, stop, [this] { return !buried_.empty(); }) || !buried_.empty()) {
          std::shared_ptr<void> object = std::move(buried_.front());
          buried_.pop_front();
          lock.unlock();
          object.reset();
          lock.lock();
        }
      }) {}

Graveyard::~Graveyard() { thread_.request_stop(); }

void Graveyard::bury(std::shared_ptr<void> object) {
  {
    const std::lock_guard lock(mutex_);
    buried_.push_back(std::move(object));
  }
  changed_.notify_all();
}

}  // namespace fovea
