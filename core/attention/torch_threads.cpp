// Compiled with OpenMP, without which torch's header quietly runs everything on one thread.
#include "core/attention/torch_threads.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

#ifndef _OPENMP
#error "compile this file with OpenMP"
#endif

namespace fovea {

void run_on_torch_threads(std::int64_t tasks, const std::function<void(std::int64_t)>& body) {
  std::atomic<std::int64_t> next{0};
  at::parallel_for(0, std::min<std::int64_t>(tasks, at::get_num_threads()), 1, [&](std::int64_t, std::int64_t) {
    for (std::int64_t task = next++; task < tasks; task = next++) body(task);
  });
}

}  // namespace fovea
