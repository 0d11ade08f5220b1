#include "core/train/schedule.h"

#include <cmath>
#include <numbers>

namespace fovea {

double schedule_factor(std::int64_t step, const ScheduleOptions& options) {
  if (step < options.warmup_steps) return static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
  const auto length = options.steps - 1 - options.warmup_steps;
  if (length <= 0) return 1;
  const double progress = static_cast<double>(step - options.warmup_steps) / static_cast<double>(length);
  return options.final_rate + (1 - options.final_rate) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

}  // namespace fovea
