// The thread that turns labels into files, while the model works on what follows.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/segment/bounded_queue.h"
#include "core/segment/image_job.h"

namespace fovea {

// What became of a job.
struct FinishedJob {
  std::shared_ptr<ImageJob> job;
  std::exception_ptr failure;   // none: its files are there
};

class OutputThread {
 public:
  // queued_bytes: of rows that may wait. after_finish: called in the thread for each job whose files have appeared; what it throws is that
  // job's failure.
  OutputThread(std::int64_t queued_bytes, std::function<void(ImageJob&)> after_finish);
  // Finishes what was handed over completely; what was not is dropped without a trace.
  ~OutputThread();
  OutputThread(const OutputThread&) = delete;
  OutputThread& operator=(const OutputThread&) = delete;

  // The next rows of a job. Waits while too many bytes are queued. Throws what an earlier append of this job came to; there is nothing to
  // finish then.
  void append(const std::shared_ptr<ImageJob>& job, LabelRows rows);
  // The job has all its rows: it will be among take_finished().
  void finish(const std::shared_ptr<ImageJob>& job);

  // Jobs that are finished or have failed since the last call.
  std::vector<FinishedJob> take_finished();
  // Waits until everything handed over is done.
  void drain();

  double busy_seconds() const { return busy_seconds_; }   // of the thread

 private:
  enum class Step { kAppend, kFinish };
  struct Task {
    std::shared_ptr<ImageJob> job;
    LabelRows rows;
    Step step = Step::kAppend;
  };
  struct Failure {
    std::weak_ptr<ImageJob> job;   // what else comes for it is passed over
    std::exception_ptr what;
  };
  void run();
  void work(Task task);
  std::exception_ptr failure_of(const std::shared_ptr<ImageJob>& job);

  std::function<void(ImageJob&)> after_finish_;
  const std::int64_t finish_weight_;       // in the queue, beside the bytes of labels
  BoundedQueue<Task> queue_;
  std::mutex mutex_;
  std::vector<FinishedJob> finished_;
  Failure failed_;                         // the last
  std::atomic<double> busy_seconds_ = 0;
  std::jthread thread_;                    // last: it uses all the others
};

}  // namespace fovea
