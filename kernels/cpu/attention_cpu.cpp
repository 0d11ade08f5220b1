#include "kernels/attention_cpu.h"

#include <algorithm>
#include <functional>

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

hwy::AlignedFreeUniquePtr<float[]> allocate(std::size_t floats) {
  auto memory = hwy::AllocateAligned<float>(floats);
  if (!memory) throw std::bad_alloc();
  return memory;
}

// Runs body(task, scratch) for every block of every head of every image. block_floats: scratch for a halo of so many tokens.
template <class BlockFloats, class Body>
void for_each_block(const AttentionShape& shape, const ParallelFor& parallel_for, const BlockFloats& block_floats, const Body& body) {
  for (const BlockPlan& plan : plan_blocks(shape, simd_lanes())) {
    const auto heads = static_cast<std::int64_t>(plan.heads.size()), blocks = static_cast<std::int64_t>(plan.blocks.size());
    ScratchPool pool(block_floats(shape, plan.max_block_keys));
    // Heads innermost: in a packed projection the heads of a token are neighbours in memory.
    parallel_for(shape.batch * blocks * heads, [&](std::int64_t index) {
      const ScratchPool::Loan scratch(pool);
      body({.batch = index / heads / blocks, .head = plan.heads[static_cast<std::size_t>(index % heads)], .dilation = plan.dilation,
            .tile = plan.tile, .block = plan.blocks[static_cast<std::size_t>(index / heads % blocks)]}, scratch.data());
    });
  }
}

// The sequence in slices, each head's slices numbered from 0.
struct SlicePlan {
  std::int64_t tokens, slice_tokens, slices;
};

SlicePlan plan_slices(const AttentionShape& shape) {
  const std::int64_t tokens = shape.tokens();
  const std::int64_t slice_tokens = std::max(kMinSliceTokens, (tokens + kMaxSlices - 1) / kMaxSlices);
  return {.tokens = tokens, .slice_tokens = slice_tokens, .slices = (tokens + slice_tokens - 1) / slice_tokens};
}

// Runs body(slice, its number) for every slice of every head of every image.
template <class Body>
void for_each_slice(const AttentionShape& shape, const SlicePlan& plan, const ParallelFor& parallel_for, const Body& body) {
  parallel_for(shape.batch * plan.slices * shape.heads, [&](std::int64_t index) {
    const std::int64_t number = index / shape.heads % plan.slices, first = number * plan.slice_tokens;
    body({.batch = index / shape.heads / plan.slices, .head = static_cast<int>(index % shape.heads), .first_token = first,
          .tokens = std::min(plan.slice_tokens, plan.tokens - first)}, number);
  });
}

// The global tokens: run_slice(slice, scratch, partial result) for every slice, then merge(head, its partial results, scratch).
struct GlobalWork {
  std::size_t scratch_floats, partial_floats;
  std::function<void(const GlobalSlice&, float* scratch, float* partial)> run_slice;
  std::function<void(const GlobalMerge&, const float* partials, float* scratch)> merge;
};

void run_globals(const AttentionShape& shape, const ParallelFor& parallel_for, const GlobalWork& work) {
  if (shape.global_tokens == 0) return;
  const SlicePlan plan = plan_slices(shape);
  const auto partials = allocate(static_cast<std::size_t>(shape.batch * shape.heads * plan.slices) * work.partial_floats);
  const auto partials_of = [&](std::int64_t sequence, std::int64_t number) {
    return partials.get() + static_cast<std::size_t>(sequence * plan.slices + number) * work.partial_floats;
  };
  ScratchPool pool(work.scratch_floats);
  for_each_slice(shape, plan, parallel_for, [&](const GlobalSlice& slice, std::int64_t number) {
    const ScratchPool::Loan scratch(pool);
    work.run_slice(slice, scratch.data(), partials_of(slice.batch * shape.heads + slice.head, number));
  });
  parallel_for(shape.batch * shape.heads, [&](std::int64_t sequence) {
    const ScratchPool::Loan scratch(pool);
    work.merge({.batch = sequence / shape.heads, .head = static_cast<int>(sequence % shape.heads), .slices = plan.slices},
               partials_of(sequence, 0), scratch.data());
  });
}

const char* shape_unsupported(const AttentionShape& shape) {
  if (shape.head_dim < 1 || shape.head_dim > kMaxHeadDim) return "head_dim out of range, expected 1 to 256";
  // Positions in a sub-grid, and their distances, are 32-bit.
  constexpr std::int64_t kMaxSide = std::int64_t{1} << 30;
  if (std::max(shape.grid_height, shape.grid_width) > kMaxSide) return "a side of the grid is over 2^30 tokens";
  return nullptr;
}

}  // namespace

const char* forward_unsupported(const AttentionForward& parameters) { return shape_unsupported(parameters.shape); }

const char* backward_unsupported(const AttentionBackward& parameters) { return shape_unsupported(parameters.shape); }

void attention_forward(const AttentionForward& parameters, const ParallelFor& parallel_for) {
  const AttentionShape& shape = parameters.shape;
  for_each_block(shape, parallel_for, forward_block_floats,
                 [&](const BlockTask& task, float* scratch) { forward_block(parameters, task, scratch); });
  run_globals(shape, parallel_for,
              {.scratch_floats = global_slice_floats(shape), .partial_floats = global_partial_floats(shape),
               .run_slice = [&](const GlobalSlice& slice, float* scratch, float* partial) {
                 forward_global_slice(parameters, slice, scratch, partial);
               },
               .merge = [&](const GlobalMerge& merge, const float* partials, float* scratch) {
                 merge_global_slices(parameters, merge, partials, scratch);
               }});
}

void attention_backward(const AttentionBackward& parameters, const ParallelFor& parallel_for) {
  const AttentionShape& shape = parameters.shape;
  const auto delta = allocate(static_cast<std::size_t>(shape.batch * shape.heads * shape.tokens()));
  for_each_slice(shape, plan_slices(shape), parallel_for,
                 [&](const GlobalSlice& slice, std::int64_t) { compute_delta(parameters, slice, delta.get()); });
  for_each_block(shape, parallel_for, backward_block_floats,
                 [&](const BlockTask& task, float* scratch) { backward_block(parameters, delta.get(), task, scratch); });
  run_globals(shape, parallel_for,
              {.scratch_floats = backward_slice_floats(shape), .partial_floats = global_gradient_floats(shape),
               .run_slice = [&](const GlobalSlice& slice, float* scratch, float* partial) {
                 backward_global_slice(parameters, delta.get(), slice, scratch, partial);
               },
               .merge = [&](const GlobalMerge& merge, const float* partials, float* scratch) {
                 merge_global_gradients(parameters, merge, partials, scratch);
               }});
}

const char* instruction_set() { return simd_target_name(); }

}  // namespace fovea::kernels::cpu
