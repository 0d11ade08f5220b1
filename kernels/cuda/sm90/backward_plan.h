// What a backward call will launch and where in the workspace its pieces lie. Host only.
#pragma once

#include <cstddef>

#include "kernels/cuda/sm90/schedule.h"

namespace fovea::kernels::sm90 {

struct BackwardPlan {
  Schedule schedule;
  int compiled_head_dim;                        // 64 also for 32, whose other half TMA fills with zeros
  int global_rows, stages[2];                   // of shared memory; stages: of the query's and the key's pass
  int slots_per_cta;                            // > 0: the gradients of the global tokens ride along
  int splits, stages_per_split;                 // > 0: they have passes of their own
  int slots;                                    // of their partial sums
  std::size_t directory_offset, partials_offset, workspace_bytes;              // delta comes first
};

// false if there is no schedule (schedule.h); then the plan is not valid.
bool make_plan(const AttentionBackward& parameters, int multiprocessors, BackwardPlan& plan);

}  // namespace fovea::kernels::sm90
