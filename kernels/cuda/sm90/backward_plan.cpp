#include "kernels/cuda/sm90/backward_plan.h"

#include <algorithm>

#include "kernels/cuda/sm90/backward_arguments.h"

namespace fovea::kernels::sm90 {
namespace {

std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

std::size_t slot_bytes(const BackwardPlan& plan, const AttentionShape& shape) {
  return std::size_t{3} * sizeof(float) * static_cast<std::size_t>(plan.compiled_head_dim * shape.global_tokens);
}

template <int kHeadDim>
void place_shared_memory(BackwardPlan& plan) {
  plan.stages[0] = BackwardConfig<Pass::kQuery, kHeadDim>::stages(plan.global_rows);
  plan.stages[1] = BackwardConfig<Pass::kKey, kHeadDim>::stages(plan.global_rows);
}

// Riding costs no second pass over the grid; a pass of its own is split over as many blocks as the device holds at a time, and fewer where
// their sums would take more memory than delta and 1 MB.
void place_global_tokens(const AttentionShape& shape, int multiprocessors, BackwardPlan& plan) {
  if (plan.compiled_head_dim == 64 && shape.global_tokens <= kMostRidingGlobals) {
    plan.slots_per_cta = slots_per_cta(plan.schedule);
    plan.slots = plan.slots_per_cta * plan.schedule.ctas;
    return;
  }
  const std::int64_t planes = shape.batch * shape.heads, grid = shape.grid_height * shape.grid_width;
  const std::int64_t stages = (grid + kPairKeys - 1) / kPairKeys, resident = multiprocessors * (plan.compiled_head_dim == 64 ? 2 : 1);
  const std::size_t budget = static_cast<std::size_t>(4 * planes * shape.tokens()) + (1 << 20);
  std::int64_t splits = std::min((resident + planes - 1) / planes, (stages + 3) / 4);
  while (splits > 1 && static_cast<std::size_t>(splits * planes) * slot_bytes(plan, shape) > budget) --splits;
  plan.stages_per_split = static_cast<int>((stages + splits - 1) / splits);
  plan.splits = static_cast<int>((stages + plan.stages_per_split - 1) / plan.stages_per_split);
  plan.slots = static_cast<int>(plan.splits * planes);
}

}  // namespace

bool make_plan(const AttentionBackward& parameters, int multiprocessors, BackwardPlan& plan) {
  const AttentionShape& shape = parameters.shape;
  plan = {};
  plan.compiled_head_dim = shape.head_dim == 128 ? 128 : 64;
  const bool wide = plan.compiled_head_dim == 128;
  const int warpgroups = wide ? BackwardConfig<Pass::kKey, 128>::kConsumers : BackwardConfig<Pass::kKey, 64>::kConsumers;
  if (!make_schedule(shape, {multiprocessors, kPairRows, warpgroups}, plan.schedule)) return false;
  plan.global_rows = divide_up(shape.global_tokens, kGlobalBlock) * kGlobalBlock;
  if (wide) place_shared_memory<128>(plan); else place_shared_memory<64>(plan);
  if (shape.global_tokens > 0) place_global_tokens(shape, multiprocessors, plan);
  plan.directory_offset = aligned(sizeof(float) * static_cast<std::size_t>(shape.batch * shape.heads * shape.tokens()));
  plan.partials_offset = plan.directory_offset + aligned(sizeof(std::int32_t) * static_cast<std::size_t>(plan.slots));
  plan.workspace_bytes = plan.partials_offset + aligned(static_cast<std::size_t>(plan.slots) * slot_bytes(plan, shape));
  return true;
}

}  // namespace fovea::kernels::sm90
