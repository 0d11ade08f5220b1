// Torch's thread pool for work that is not torch's.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

namespace fovea {

// As long as it lives, a stop ends whatever this thread has run_on_torch_threads() do between two tasks: Error{kCancelled}, and results are
// not whole. For work that a person waits for and may no longer want, whose signatures know nothing of that: operators called through torch.
class StoppableTorchThreads {
 public:
  explicit StoppableTorchThreads(std::stop_token stop);
  ~StoppableTorchThreads();
  StoppableTorchThreads(const StoppableTorchThreads&) = delete;
  StoppableTorchThreads& operator=(const StoppableTorchThreads&) = delete;

 private:
  std::stop_token before_;
};
// Of the calling thread's scope; asks for nothing outside of one.
const std::stop_token& stop_of_torch_threads();

// Runs body(task) for every task in [0, tasks) on as many threads as torch uses (at::set_num_threads), each taking the next task when it
// is done with one: tasks may differ in cost. Returns when all are done; an exception of body is passed on.
void run_on_torch_threads(std::int64_t tasks, const std::function<void(std::int64_t task)>& body);

}  // namespace fovea
