#include "core/segment/output_thread.h"

#include <chrono>

#include "core/base/clock.h"

namespace fovea {
namespace {

// Jobs that wait to be finished hold open files and rows of tiles, however small their labels are.
constexpr std::int64_t kJobsWaiting = 6;

}  // namespace

OutputThread::OutputThread(std::int64_t queued_bytes, std::function<void(ImageJob&)> after_finish)
    : after_finish_(std::move(after_finish)), finish_weight_(queued_bytes / kJobsWaiting), queue_(queued_bytes),
      thread_([this] { run(); }) {}

OutputThread::~OutputThread() { drain(); }

void OutputThread::append(const std::shared_ptr<ImageJob>& job, LabelRows rows) {
  if (const std::exception_ptr failure = failure_of(job)) std::rethrow_exception(failure);
  const std::int64_t bytes = rows.bytes();
  queue_.push({.job = job, .rows = std::move(rows), .step = Step::kAppend}, bytes);
}

void OutputThread::finish(const std::shared_ptr<ImageJob>& job) {
  queue_.push({.job = job, .rows = {}, .step = Step::kFinish}, finish_weight_);
}

std::vector<FinishedJob> OutputThread::take_finished() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(finished_, {});
}

void OutputThread::drain() {
  queue_.close();
  if (thread_.joinable()) thread_.join();
}

void OutputThread::run() {
  while (std::optional<Task> task = queue_.pop()) {
    const auto start = std::chrono::steady_clock::now();
    work(std::move(*task));
    task.reset();
    busy_seconds_ = busy_seconds_ + seconds_since(start);
  }
}

void OutputThread::work(Task task) {
  std::exception_ptr failure = failure_of(task.job);
  try {
    if (!failure && task.step == Step::kAppend) task.job->append(std::move(task.rows));
    if (!failure && task.step == Step::kFinish) {
      task.job->finish();
      after_finish_(*task.job);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  const std::scoped_lock lock(mutex_);
  if (failure) failed_ = {task.job, failure};
  if (task.step == Step::kFinish) finished_.push_back({std::move(task.job), failure});
}

std::exception_ptr OutputThread::failure_of(const std::shared_ptr<ImageJob>& job) {
  const std::scoped_lock lock(mutex_);
  const bool same = !failed_.job.owner_before(job) && !job.owner_before(failed_.job);
  return same ? failed_.what : nullptr;
}

}  // namespace fovea
