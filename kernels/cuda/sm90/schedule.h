// Builds the schedule that strip_schedule.h reads. Host only.
#pragma once

#include "kernels/cuda/sm90/strip_schedule.h"

namespace fovea::kernels::sm90 {

constexpr std::int64_t kMostTiles = std::int64_t{1} << 30;    // positions in the schedule are 32-bit

struct Machine {
  int multiprocessors;
  int band_rows = kPairRows;                    // key rows of a stage
  int warpgroups = kWarpgroups;                 // consumers of a CTA
};

// false if the heads need more than kMaxGroups different geometries, or there are too many tiles or none.
bool make_schedule(const AttentionShape& shape, Machine machine, Schedule& schedule);

// Times that CTAs change to another (batch, head), the first included: CTA i's are numbers first[i] to first[i + 1] - 1. Returns how many
// there are in all.
std::int64_t count_slots(const Schedule& schedule, std::int32_t (&first)[kMaxCtas + 1]);

// The most of any CTA.
int slots_per_cta(const Schedule& schedule);

}  // namespace fovea::kernels::sm90
