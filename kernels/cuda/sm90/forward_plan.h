// What a forward call will launch and where in the workspace its pieces lie. Host only.
#pragma once

#include <cstddef>

#include "kernels/cuda/sm90/schedule.h"

namespace fovea::kernels::sm90 {

struct ForwardPlan {
  Schedule schedule;
  int compiled_head_dim;                        // 64 also for 32, whose other half TMA fills with zeros
  int global_rows;                              // of shared memory; a multiple of 16
  int rider_rows;                               // > 0: the global queries ride along, 8 or 16 rows of them
  std::int32_t first_slot[kMaxCtas + 1];        // then: of each CTA
  int splits, stages_per_split;                 // > 0: the global queries have a launch of their own
  int slots;                                    // of partial results
  std::size_t partials_offset, workspace_bytes; // the directory comes first
};

// false if there is no schedule (schedule.h); then the plan is not valid.
bool make_plan(const AttentionForward& parameters, int multiprocessors, ForwardPlan& plan);

// Of the current device; 132 (an H100's) where there is none.
int multiprocessors();

}  // namespace fovea::kernels::sm90
