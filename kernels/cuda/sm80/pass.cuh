// The frame of all three passes (forward, gradient of queries, gradient of keys and values): a thread block keeps its tokens in
// registers and meets its halo as it streams through shared memory, stage by stage. The window is a symmetric relation, so the same
// tokens are met whether queries look for keys or keys for queries.
#pragma once

#include "kernels/cuda/sm80/feeder.cuh"
#include "kernels/cuda/sm80/mask.cuh"
#include "kernels/cuda/sm80/products.cuh"

namespace fovea::kernels::sm80 {

// Lets a pass meet the rectangle, kColumns columns of blocks at a time, two rows (or a longer piece of one row) at once.
template <int kColumns, class Pass>
__device__ void meet_columns(Pass& pass, const Stage& stage, const Reach& reach, const WindowMask& mask, bool flat, Rectangle rectangle,
                             std::uint32_t buffer) {
  const int first_row = rectangle.row, step = flat ? 2 * kColumns : kColumns;
  while (rectangle.block_end - rectangle.block > (flat ? 2 : 1) * (kColumns - 1)) {
    const ColumnBias<kColumns> bias(mask, stage.column + rectangle.block * kBlock, flat);
#pragma unroll 1
    for (rectangle.row = first_row; rectangle.row < rectangle.row_end; rectangle.row += flat ? 1 : 2) {
      const Patch<kColumns> patch = rectangle.template patch<kColumns>(stage, flat);
      pass.meet(patch, bias, mask, reach, buffer);
    }
    rectangle.block += step;
  }
  rectangle.row = first_row;
  if constexpr (kColumns > 1) meet_columns<kColumns - 1>(pass, stage, reach, mask, flat, rectangle, buffer);
}

// Puts together what the warps that share tokens have, one after the other, and leaves the sum as this share's partial results.
template <class Pass>
__device__ void finish_share(Pass& pass, float* gathered, float* partials, const WarpTokens& tokens, const LaneTokens& lane) {
  for (int part = 0; part < tokens.parts; ++part) {
    __syncthreads();
    if (part != tokens.part) continue;
    if (part > 0) pass.add_partial(gathered, lane);
    pass.store_partial(part + 1 < tokens.parts ? gathered : partials, lane);
  }
}

// What a warp currently meets: the halo of the grid, or the global tokens, a single row that every token meets.
struct Encounter {
  WindowMask mask;
  Stage stage;
  bool flat;

  __device__ void begin_grid(const Work& work, const WarpTokens& tokens, Reach& reach) {
    mask = WindowMask(work, tokens, lane_of_thread());
    reach = reach_of(work, tokens);
    flat = work.tile_height == 1;
    __syncwarp();
  }
  __device__ void begin_globals(const Work& work, const WarpTokens& tokens, Reach& reach) {
    const int last = work.globals.column_last;
    mask.meet_all(last + 1);
    reach = tokens.exist(work) ? Reach{0, 0, 0, last, 0, last} : Reach{0, -1, 0, -1, 0, -1};
    flat = true;
    __syncwarp();
  }
};

// Pass: Element, kDim, Tuning {kWarps, kStageBlocks, kStages, kColumns, kResidentBlocks}, sizes of its stages and partial results, the
// tensors that stream past, meet(a patch), store(results), store_partial(), add_partial().
template <class Pass>
__global__ void __launch_bounds__(Pass::Tuning::kWarps * 32, Pass::Tuning::kResidentBlocks)
    run_pass(const __grid_constant__ Arguments arguments) {
  using Tuning = typename Pass::Tuning;
  constexpr int kBlocks = Tuning::kStageBlocks, kStages = Tuning::kStages;
  static_assert(Tuning::kWarps / 2 * kSubtile * Pass::kPartialFloats * 4 <= kStages * Pass::kStageBytes, "tokens that warps share");
  extern __shared__ __align__(1024) unsigned char shared[];
  __shared__ Work work;
  __shared__ int exists;
  __shared__ Reach reaches[Tuning::kWarps];     // each warp's own; not in registers, which are scarce
  if (threadIdx.x == 0) exists = locate(arguments.layout, arguments.heads, blockIdx.x, kBlocks, work);
  __syncthreads();
  if (!exists) return;

  const std::uint32_t buffers = shared_address(shared);
  const int grid_stages = work.grid.stages, stages = grid_stages + work.globals.stages;
  StageFeeder<Pass> feeder(arguments, work, buffers);
  const auto own_tokens = [&] { return WarpTokens(work, threadIdx.x / 32, Tuning::kWarps); };   // computed again where needed, likewise
  Pass pass(arguments, work, LaneTokens(work, own_tokens(), lane_of_thread()));
  Reach& reach = reaches[threadIdx.x / 32];
  Encounter now{};
  const int first = work.globals_nearby ? -1 : 0;                  // -1: the global tokens that come with stage 0
#pragma unroll 1
  for (int index = first; index < stages; ++index) {
    if (index == first || index > 0) {
      wait_for_copies<kStages - 2>();
      __syncthreads();                          // the stage has landed, and everybody is done with the one overwritten next
    }
    if (index >= 0) feeder.start(index + kStages - 1);
    const bool in_grid = index >= 0 && index < grid_stages;
    now.stage = next_stage(in_grid ? work.grid : work.globals, now.stage, in_grid || index < 0 ? larger(index, 0) : index - grid_stages);
    if (index < 0) now.stage.slot = kBlocks;
    __syncwarp();
    if (index == 0) now.begin_grid(work, own_tokens(), reach);
    if (index < 0 || index == grid_stages) now.begin_globals(work, own_tokens(), reach);
    Rectangle rectangle(now.stage, reach);
    if (work.split >= 0) rectangle.keep_part(now.stage, own_tokens().part, own_tokens().parts);
    const std::uint32_t buffer = buffers + larger(index, 0) % kStages * Pass::kStageBytes;
    meet_columns<Tuning::kColumns>(pass, now.stage, reach, now.mask, now.flat, rectangle, buffer);
  }
  wait_for_copies<0>();
  const LaneTokens lane(work, own_tokens(), lane_of_thread());
  if (work.split < 0)
    pass.store(arguments, work, lane);
  else
    finish_share(pass, reinterpret_cast<float*>(shared),
                 partial_rows(Pass::partials(arguments), arguments.layout, work, Pass::kPartialFloats), own_tokens(), lane);
}

}  // namespace fovea::kernels::sm80
