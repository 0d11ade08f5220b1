// Where objects end that take their time: their destructors wait for threads that are in the middle of something.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

namespace fovea {

class Graveyard {
 public:
  Graveyard();
  ~Graveyard();                                // waits for all that was buried
  Graveyard(const Graveyard&) = delete;
  Graveyard& operator=(const Graveyard&) = delete;
  // Gives up the caller's share; if it was the last one, the object is destroyed on another thread. From any thread.
  void bury(std::shared_ptr<void> object);

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::shared_ptr<void>> buried_;
  std::jthread thread_;                        // last: joined before the rest is destroyed
};

}  // namespace fovea
