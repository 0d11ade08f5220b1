// Compiled with OpenMP, without which torch's header quietly runs everything on one thread.
#include "core/attention/torch_threads.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "core/base/progress.h"

#ifndef _OPENMP
#error "compile this file with OpenMP"
#endif

namespace fovea {

namespace {

std::stop_token& current_stop() {
  thread_local std::stop_token stop;
  return stop;
}

}  // namespace

StoppableTorchThreads::StoppableTorchThreads(std::stop_token stop) : before_(std::exchange(current_stop(), std::move(stop))) {}

StoppableTorchThreads::~StoppableTorchThreads() { current_stop() = std::move(before_); }

const std::stop_token& stop_of_torch_threads() { return current_stop(); }

void run_on_torch_threads(std::int64_t tasks, const std::function<void(std::int64_t)>& body) {
  const std::stop_token stop = current_stop();   // the caller's, for all threads
  std::atomic<std::int64_t> next{0};
  at::parallel_for(0, std::min<std::int64_t>(tasks, at::get_num_threads()), 1, [&](std::int64_t, std::int64_t) {
    for (std::int64_t task = next++; task < tasks; task = next++) {
      throw_if_stopped(stop);
      body(task);
    }
  });
}

}  // namespace fovea
