#include "kernels/attention_cpu.h"

#include <hwy/targets.h>

#include <algorithm>

#include "kernels/cpu/block_plan.h"
#include "kernels/cpu/scratch_pool.h"
#include "kernels/cpu/simd_kernels.h"

namespace fovea::kernels::cpu {
namespace {

constexpr int kMaxHeadDim = 256;
// The global queries' keys are cut into slices of at least this many tokens, and into at most this many slices: their partial results
// stay small beside the sequence. Both depend on the shape alone, so that the order of summation does too.
constexpr std::int64_t kMinSliceTokens = 1024;
constexpr std::int64_t kMaxSlices = 256;

void forward_grid(const AttentionForward& parameters, const ParallelFor& parallel_for) {
  const AttentionShape& shape = parameters.shape;
  for (const BlockPlan& plan : plan_blocks(shape, simd_lanes())) {
    const auto heads = static_cast<std::int64_t>(plan.heads.size()), blocks = static_cast<std::int64_t>(plan.blocks.size());
    ScratchPool pool(forward_block_floats(shape, plan.max_block_keys));
    // Heads innermost: in a packed projection the heads of a token are neighbours in memory.
    parallel_for(shape.batch * blocks * heads, [&](std::int64_t index) {
      const ScratchPool::Loan scratch(pool);
      forward_block(parameters, {.batch = index / heads / blocks, .head = plan.heads[static_cast<std::size_t>(index % heads)],
                                 .dilation = plan.dilation, .tile = plan.tile,
                                 .block = plan.blocks[static_cast<std::size_t>(index / heads % blocks)]}, scratch.data());
    });
  }
}

void forward_globals(const AttentionForward& parameters, const ParallelFor& parallel_for) {
  const AttentionShape& shape = parameters.shape;
  if (shape.global_tokens == 0) return;
  const std::int64_t tokens = shape.tokens();
  const std::int64_t slice_tokens = std::max(kMinSliceTokens, (tokens + kMaxSlices - 1) / kMaxSlices);
  const std::int64_t slices = (tokens + slice_tokens - 1) / slice_tokens;
  const std::size_t partial_floats = global_partial_floats(shape);
  const auto partials = hwy::AllocateAligned<float>(static_cast<std::size_t>(shape.batch * shape.heads * slices) * partial_floats);
  if (!partials) throw std::bad_alloc();
  ScratchPool pool(global_slice_floats(shape));
  const auto partials_of = [&](std::int64_t sequence, std::int64_t slice) {
    return partials.get() + static_cast<std::size_t>(sequence * slices + slice) * partial_floats;
  };
  parallel_for(shape.batch * slices * shape.heads, [&](std::int64_t index) {
    const ScratchPool::Loan scratch(pool);
    const std::int64_t head = index % shape.heads, slice = index / shape.heads % slices, batch = index / shape.heads / slices;
    const std::int64_t first = slice * slice_tokens;
    forward_global_slice(parameters, {.batch = batch, .head = static_cast<int>(head), .first_token = first,
                                      .tokens = std::min(slice_tokens, tokens - first)},
                         scratch.data(), partials_of(batch * shape.heads + head, slice));
  });
  parallel_for(shape.batch * shape.heads, [&](std::int64_t sequence) {
    const ScratchPool::Loan scratch(pool);
    merge_global_slices(parameters, {.batch = sequence / shape.heads, .head = static_cast<int>(sequence % shape.heads), .slices = slices},
                        partials_of(sequence, 0), scratch.data());
  });
}

}  // namespace

const char* forward_unsupported(const AttentionForward& parameters) {
  const AttentionShape& shape = parameters.shape;
  if (shape.head_dim < 1 || shape.head_dim > kMaxHeadDim) return "head_dim out of range, expected 1 to 256";
  // Positions in a sub-grid, and their distances, are 32-bit.
  constexpr std::int64_t kMaxSide = std::int64_t{1} << 30;
  if (std::max(shape.grid_height, shape.grid_width) > kMaxSide) return "a side of the grid is over 2^30 tokens";
  return nullptr;
}

void attention_forward(const AttentionForward& parameters, const ParallelFor& parallel_for) {
  forward_grid(parameters, parallel_for);
  forward_globals(parameters, parallel_for);
}

const char* instruction_set() { return hwy::TargetName(hwy::SupportedTargets() & -hwy::SupportedTargets()); }

}  // namespace fovea::kernels::cpu
