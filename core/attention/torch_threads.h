// Torch's thread pool for work that is not torch's.
#pragma once

#include <cstdint>
#include <functional>

namespace fovea {

// Runs body(task) for every task in [0, tasks) on as many threads as torch uses (at::set_num_threads), each taking the next task when it
// is done with one: tasks may differ in cost. Returns when all are done; an exception of body is passed on.
void run_on_torch_threads(std::int64_t tasks, const std::function<void(std::int64_t task)>& body);

}  // namespace fovea
