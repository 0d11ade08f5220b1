// Work that a person waits for, on a thread of its own: progress, cancel, and what became of it, without ever stopping the window.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "core/base/progress.h"

namespace fovea {

struct JobState {
  bool running = false;
  std::string stage;
  std::int64_t done = 0, total = 0;
  double elapsed_s = 0;
  float share() const { return total > 0 ? static_cast<float>(done) / static_cast<float>(total) : 0; }
};

// One piece of work at a time. All methods from the main thread.
class BackgroundJob {
 public:
  using Work = std::function<void(Progress&, const std::stop_token&)>;
  struct Outcome {
    std::string error;                   // one line; empty: it worked, or was stopped
    bool stopped = false;
  };
  using Done = std::function<void(const Outcome&)>;

  // wake: called from the worker when there is something to see.
  explicit BackgroundJob(std::function<void()> wake) : wake_(std::move(wake)) {}
  // Stops the work and waits for its next look at the stop token.
  ~BackgroundJob() = default;
  BackgroundJob(const BackgroundJob&) = delete;
  BackgroundJob& operator=(const BackgroundJob&) = delete;

  // Stops what runs; this follows as soon as that has ended. done runs in a poll().
  void start(Work work, Done done);
  void cancel();
  bool running() const { return current_ || next_; }
  JobState state() const;
  // Once a frame.
  void poll();

 private:
  struct Shared;                         // with the worker
  struct Task { Work work; Done done; };
  void launch(Task task);

  const std::function<void()> wake_;
  std::optional<Task> next_;
  Done done_;
  std::shared_ptr<Shared> current_;      // nullptr: nothing runs
  std::chrono::steady_clock::time_point start_;
  std::jthread thread_;                  // last: joined before the rest is destroyed
};

}  // namespace fovea
