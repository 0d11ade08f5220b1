// The learning rate over a run.
#pragma once

#include <cstdint>

namespace fovea {

struct ScheduleOptions {
  std::int64_t steps = 1, warmup_steps = 0;
  double final_rate = 0;   // fraction of the peak
};

// Factor on every peak rate at a step (0-based): (step + 1) / warmup while warming up, then half a cosine from 1 down to final_rate, which
// the last step reaches (Loshchilov and Hutter 2017). A warm-up as long as the run or longer never gets to the cosine.
double schedule_factor(std::int64_t step, const ScheduleOptions& options);

}  // namespace fovea
