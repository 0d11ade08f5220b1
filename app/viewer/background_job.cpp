#include "app/viewer/background_job.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <new>
#include <utility>

#include "core/base/clock.h"

namespace fovea {
namespace {

constexpr int kNiceness = 10;   // a thread of the window gets about ten times the share of a worker's

}  // namespace

struct BackgroundJob::Shared final : Progress {
  explicit Shared(std::function<void()> wake_up) : wake(std::move(wake_up)) {}
  void report(std::string_view now, std::int64_t units, std::int64_t of) override {
    {
      const std::lock_guard lock(mutex);
      stage = now, done = units, total = of;
    }
    if (wake) wake();
  }
  void end(std::string what) {
    {
      const std::lock_guard lock(mutex);
      error = std::move(what);
      ended = true;
    }
    if (wake) wake();
  }

  const std::function<void()> wake;
  std::mutex mutex;
  std::string stage, error;
  std::int64_t done = 0, total = 0;
  bool ended = false;
};

void BackgroundJob::start(Work work, Done done) {
  Task task{std::move(work), std::move(done)};
  if (!current_) return launch(std::move(task));
  cancel();
  next_ = std::move(task);
}

void BackgroundJob::cancel() {
  next_.reset();
  thread_.request_stop();
}

void BackgroundJob::launch(Task task) {
  current_ = std::make_shared<Shared>(wake_);
  done_ = std::move(task.done);
  start_ = std::chrono::steady_clock::now();
  thread_ = std::jthread([shared = current_, work = std::move(task.work)](const std::stop_token& stop) {
    setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness);
    std::string error;
    try {
      work(*shared, stop);
    } catch (const Error& failure) {
      if (failure.kind() != ErrorKind::kCancelled) error = first_line(failure.what());
    } catch (const std::bad_alloc&) {
      error = "not enough memory: choose a smaller region or close other programs";
    } catch (const std::exception& failure) {
      error = first_line(failure.what());
    }
    shared->end(std::move(error));
  });
}

JobState BackgroundJob::state() const {
  if (!current_) return {};
  const std::lock_guard lock(current_->mutex);
  const double elapsed_s = seconds_since(start_);
  return {.running = true, .stage = current_->stage, .done = current_->done, .total = current_->total, .elapsed_s = elapsed_s};
}

void BackgroundJob::poll() {
  if (!current_) return;
  Outcome outcome;
  {
    const std::lock_guard lock(current_->mutex);
    if (!current_->ended) return;
    outcome = {current_->error, thread_.get_stop_token().stop_requested()};
  }
  thread_.join();
  current_.reset();
  const Done done = std::exchange(done_, nullptr);
  if (next_) launch(*std::exchange(next_, std::nullopt));
  if (done) done(outcome);
}

}  // namespace fovea
