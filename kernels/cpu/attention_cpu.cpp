#include "kernels/attention_cpu.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "kernels/cpu/bfloat16/kernels.h"
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

// The kernels that run a dtype on this machine: bfloat16 is multiplied as it is, or widened to float32.
const TaskKernels& kernels_for(DataType dtype) {
  const bool as_it_is = dtype == DataType::kBFloat16 && bfloat16::chosen_products() != bfloat16::Products::kWidened;
  return as_it_is ? *bfloat16::kernels() : simd_kernels();
}

// Runs body(task, scratch) for every block of every head of every image.
template <class Body>
void for_each_block(const AttentionShape& shape, const TaskKernels::Pass& pass, const ParallelFor& parallel_for, const Body& body) {
  for (const BlockPlan& plan : pass.plan(shape)) {
    const auto heads = static_cast<std::int64_t>(plan.heads.size()), blocks = static_cast<std::int64_t>(plan.blocks.size());
    ScratchPool pool(pass.block_floats(shape, plan.max_block_keys));
    // Heads innermost: in a packed projection the heads of a token are neighbours in memory.
    parallel_for(shape.batch * blocks * heads, [&](std::int64_t index) {
      const ScratchPool::Loan scratch(pool);
      body({.batch = index / heads / blocks, .head = plan.heads[static_cast<std::size_t>(index % heads)], .dilation = plan.dilation,
            .transposed = plan.transposed, .tile = plan.tile, .block = plan.blocks[static_cast<std::size_t>(index / heads % blocks)]},
           scratch.data());
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
template <class RunSlice, class Merge>
void run_globals(const AttentionShape& shape, const TaskKernels::Pass& pass, const ParallelFor& parallel_for, const RunSlice& run_slice,
                 const Merge& merge) {
  if (shape.global_tokens == 0) return;
  const SlicePlan plan = plan_slices(shape);
  const std::size_t partial_floats = pass.partial_floats(shape);
  const auto partials = allocate(static_cast<std::size_t>(shape.batch * shape.heads * plan.slices) * partial_floats);
  const auto partials_of = [&](std::int64_t sequence, std::int64_t number) {
    return partials.get() + static_cast<std::size_t>(sequence * plan.slices + number) * partial_floats;
  };
  ScratchPool pool(pass.slice_floats(shape));
  for_each_slice(shape, plan, parallel_for, [&](const GlobalSlice& slice, std::int64_t number) {
    const ScratchPool::Loan scratch(pool);
    run_slice(slice, scratch.data(), partials_of(slice.batch * shape.heads + slice.head, number));
  });
  parallel_for(shape.batch * shape.heads, [&](std::int64_t sequence) {
    const ScratchPool::Loan scratch(pool);
    merge({.batch = sequence / shape.heads, .head = static_cast<int>(sequence % shape.heads), .slices = plan.slices},
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
  const TaskKernels& kernels = kernels_for(parameters.dtype);
  for_each_block(shape, kernels.forward, parallel_for,
                 [&](const BlockTask& task, float* scratch) { kernels.forward_block(parameters, task, scratch); });
  run_globals(shape, kernels.forward, parallel_for,
              [&](const GlobalSlice& slice, float* scratch, float* partial) { kernels.forward_slice(parameters, slice, scratch, partial); },
              [&](const GlobalMerge& merge, const float* partials, float* scratch) {
                kernels.merge_forward(parameters, merge, partials, scratch);
              });
}

void attention_backward(const AttentionBackward& parameters, const ParallelFor& parallel_for) {
  const AttentionShape& shape = parameters.shape;
  const TaskKernels& kernels = kernels_for(parameters.dtype);
  const auto delta = allocate(static_cast<std::size_t>(shape.batch * shape.heads * shape.tokens()));
  for_each_slice(shape, plan_slices(shape), parallel_for,
                 [&](const GlobalSlice& slice, std::int64_t) { compute_delta(parameters, slice, delta.get()); });
  for_each_block(shape, kernels.backward, parallel_for,
                 [&](const BlockTask& task, float* scratch) { kernels.backward_block(parameters, delta.get(), task, scratch); });
  run_globals(shape, kernels.backward, parallel_for,
              [&](const GlobalSlice& slice, float* scratch, float* partial) {
                kernels.backward_slice(parameters, delta.get(), slice, scratch, partial);
              },
              [&](const GlobalMerge& merge, const float* partials, float* scratch) {
                kernels.merge_backward(parameters, merge, partials, scratch);
              });
}

double executed_pairs(const AttentionShape& shape) {
  const auto lanes = static_cast<double>(simd_lanes());
  constexpr auto kGroup = static_cast<std::int64_t>(kTokenGroup);
  const auto padded = [](std::int64_t tokens) { return (tokens + kGroup - 1) / kGroup * kGroup; };
  double pairs = 0;
  for (const BlockPlan& plan : simd_kernels().forward.plan(shape)) {
    std::int64_t keys = 0;
    for (const GridBlock& block : plan.blocks) {
      for (std::int64_t y = block.y0; y < block.y1; y += plan.tile.height) {
        for (std::int64_t x = block.x0; x < block.x1; x += plan.tile.width) {
          const Halo halo = halo_of({.sub_height = block.sub_height, .sub_width = block.sub_width, .y0 = y,
                                     .y1 = std::min(y + plan.tile.height, block.y1), .x0 = x,
                                     .x1 = std::min(x + plan.tile.width, block.x1)}, shape);
          keys += halo.height() * padded(halo.width()) + padded(shape.global_tokens);
        }
      }
    }
    pairs += static_cast<double>(keys) * lanes * static_cast<double>(plan.heads.size());
  }
  const double global_lanes = std::ceil(shape.global_tokens / lanes) * lanes;
  return static_cast<double>(shape.batch) * (pairs + shape.heads * global_lanes * static_cast<double>(shape.tokens()));
}

double peak_multiply_adds_per_second() {
  double best = 0;
  for (int run = 0; run < 50; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const double done = run_multiply_adds();
    best = std::max(best, done / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

const char* instruction_set() { return simd_target_name(); }

}  // namespace fovea::kernels::cpu
