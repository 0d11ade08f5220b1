#include "kernels/cuda/sm90/forward_plan.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "kernels/cuda/sm90/global_arguments.h"

namespace fovea::kernels::sm90 {
namespace {

std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

std::size_t partial_bytes(const ForwardPlan& plan, const AttentionShape& shape, std::int64_t slots) {
  return static_cast<std::size_t>(slots) * shape.global_tokens * (plan.compiled_head_dim + 2) * sizeof(float);
}

// Riding costs no second pass over keys and values but a slot for every (batch, head) a CTA meets; a launch of its own takes as few
// splits as must be. Both stay within the operator's promise: 4 bytes a head a token and 1 MB.
void place_global_queries(const AttentionShape& shape, int multiprocessors, ForwardPlan& plan) {
  const std::int64_t planes = shape.batch * shape.heads;
  const std::size_t budget = static_cast<std::size_t>(4 * planes * shape.tokens()) + (900 << 10);
  const std::int64_t riding = count_slots(plan.schedule, plan.first_slot);
  if (shape.global_tokens <= kMostRidingQueries && partial_bytes(plan, shape, riding) <= budget) {
    plan.rider_rows = shape.global_tokens <= kTile ? kTile : kMostRidingQueries;
    plan.slots = static_cast<int>(riding);
    return;
  }
  const std::int64_t stages = (shape.tokens() + kSplitKeys - 1) / kSplitKeys;
  const std::int64_t resident = multiprocessors * (plan.compiled_head_dim == 64 ? 4 : 2);
  std::int64_t splits = std::min((resident + planes - 1) / planes, (stages + 3) / 4);
  while (splits > 1 && partial_bytes(plan, shape, splits * planes) > budget) --splits;
  plan.stages_per_split = static_cast<int>((stages + splits - 1) / splits);
  plan.splits = static_cast<int>((stages + plan.stages_per_split - 1) / plan.stages_per_split);
  plan.slots = static_cast<int>(plan.splits * planes);
}

}  // namespace

bool make_plan(const AttentionForward& parameters, int multiprocessors, ForwardPlan& plan) {
  const AttentionShape& shape = parameters.shape;
  plan = {};
  plan.compiled_head_dim = shape.head_dim == 128 ? 128 : 64;
  const int band_rows = plan.compiled_head_dim == 64 ? ForwardConfig<64>::kStageRows : ForwardConfig<128>::kStageRows;
  if (!make_schedule(shape, {multiprocessors, band_rows}, plan.schedule)) return false;
  plan.global_rows = std::max(1, divide_up(shape.global_tokens, kGlobalBlock)) * kGlobalBlock;
  if (shape.global_tokens > 0) place_global_queries(shape, multiprocessors, plan);
  plan.partials_offset = aligned(sizeof(std::int32_t) * plan.slots);
  plan.workspace_bytes = plan.partials_offset + aligned(partial_bytes(plan, shape, plan.slots));
  return true;
}

int multiprocessors() {
  constexpr int kH100 = 132;
  int device = 0, count = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return kH100;
  if (cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device) != cudaSuccess) return kH100;
  return count;
}

}  // namespace fovea::kernels::sm90
