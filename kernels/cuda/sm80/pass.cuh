// The frame of all three passes (forward, gradient of queries, gradient of keys and values): a thread block keeps its tokens in
// registers and meets its halo as it streams through shared memory, stage by stage. The window is a symmetric relation, so the same
// tokens are met whether queries look for keys or keys for queries.
#pragma once

#include "kernels/cuda/sm80/mask.cuh"
#include "kernels/cuda/sm80/products.cuh"
#include "kernels/cuda/sm80/work.h"

namespace fovea::kernels::sm80 {

constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

struct Arguments {
  Layout layout;
  HeadTable heads;
  float scale;
  ConstView query, key, value, output, grad_output;
  const float* lse;
  const float* grad_lse;
  MutableView result, grad_key, grad_value;     // result: output or grad_query
  float* lse_result;
  float* delta;                                 // [B, heads, N]: rowsum(grad_output * output) - grad_lse
  float* query_partials;                        // [B * heads, splits, G, D (+ 2)]: what the shares of the sequence gave the global queries
  float* key_partials;                          // [B * heads, splits, G, 2 D]
};

template <class Element>
__device__ Element* result_row(const MutableView& view, const Work& work, int token) {
  return static_cast<Element*>(view.data) + work.batch * view.batch_stride + work.head * view.head_stride + token * view.token_stride;
}

// Index of the first token's entry in [B, heads, N].
__device__ inline std::int64_t row_index(const Layout& layout, const Work& work) {
  return (std::int64_t(work.batch) * layout.heads + work.head) * layout.tokens;
}

// Partial results of a share of the sequence: a row of `row_floats` for each global token.
__device__ inline float* partial_rows(float* partials, const Layout& layout, const Work& work, int row_floats) {
  const std::int64_t plane = std::int64_t(work.batch) * layout.heads + work.head;
  return partials + (plane * layout.splits + work.split) * layout.global_tokens * row_floats;
}

// Scores are multiplied by |scale| alone, so that the largest product is the largest score; the sign goes to the stationary operand.
// 1e-30 acts as 0 and keeps 0 * inf away.
__device__ inline float absolute_scale_log2(float scale) { return fmaxf(fabsf(scale) * kLog2e, 1e-30f); }
__device__ inline std::uint32_t sign_mask(float scale) { return scale < 0.f ? 0x80008000u : 0u; }

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

// Pass: Element, kDim, Tuning {kWarps, kStageBlocks, kStages, kColumns, kResidentBlocks}, kStageBytes, kPartialFloats; streamed tensors;
// meet(a patch), store(results), store_partial(), add_partial().
template <class Pass>
__global__ void __launch_bounds__(Pass::Tuning::kWarps * 32, Pass::Tuning::kResidentBlocks) run_pass(const __grid_constant__ Arguments arguments) {
  using Tuning = typename Pass::Tuning;
  using Element = typename Pass::Element;
  constexpr int kBlocks = Tuning::kStageBlocks, kStages = Tuning::kStages;
  static_assert(Tuning::kWarps / 2 * kSubtile * Pass::kPartialFloats * 4 <= kStages * Pass::kStageBytes, "room for the tokens that warps share");
  extern __shared__ __align__(1024) unsigned char shared[];
  __shared__ Work work;
  __shared__ int exists;
  if (threadIdx.x == 0) exists = locate(arguments.layout, arguments.heads, blockIdx.x, kBlocks, work);
  __syncthreads();
  if (!exists) return;

  const std::uint32_t buffers = shared_address(shared);
  const int grid_stages = work.grid.stages, stages = grid_stages + work.globals.stages;
  StageCopier<Tuning, Element, Pass::kDim> copier;
  const auto start_copier = [&](const Halo& halo, int index) {
    copier.start(halo, stage_of(halo, index), Plane<Element>(Pass::streamed_first(arguments), work), Plane<Element>(Pass::streamed_second(arguments), work));
  };
  const auto copy_to = [&](std::uint32_t buffer, int slot) {
    copier.copy(buffer + slot * Pass::kBlockBytes, buffer + Pass::kOperandBytes + slot * Pass::kBlockBytes);
    Pass::copy_statistics(arguments, work, copier, buffer, slot * kBlock);
  };
  const auto start_copies = [&](int index) {
    if (index < stages) {
      const Halo& halo = index < grid_stages ? work.grid : work.globals;
      if (index == 0 || index == grid_stages || halo.segments > 1)
        start_copier(halo, index < grid_stages ? index : index - grid_stages);
      else
        copier.advance(halo, Pass::streamed_first(arguments).token_stride, Pass::streamed_second(arguments).token_stride);
      copy_to(buffers + index % kStages * Pass::kStageBytes, 0);
    }
    commit_copies();                            // one group a stage, empty past the end
  };
  if (work.globals_nearby) {
    start_copier(work.globals, 0);
    copy_to(buffers, kBlocks);
  }
#pragma unroll 1
  for (int i = 0; i < kStages - 1; ++i) start_copies(i);

  const auto own_tokens = [&] { return WarpTokens(work, threadIdx.x / 32, Tuning::kWarps); };   // again where needed: registers are scarce
  Pass pass(arguments, work, LaneTokens(work, own_tokens(), lane_of_thread()));
  WindowMask mask(work, own_tokens(), lane_of_thread());
  __shared__ Reach reaches[Tuning::kWarps];     // each warp's own; not in registers, which are scarce
  Reach& reach = reaches[threadIdx.x / 32];
  Stage stage{};
  bool flat = false;

  int index = work.globals_nearby ? -1 : 0;     // -1: the global tokens that came with stage 0
#pragma unroll 1
  for (; index < stages; ++index) {
    if (index != 0 || !work.globals_nearby) {
      wait_for_copies<kStages - 2>();
      __syncthreads();                          // the stage has landed, and everybody is done with the one overwritten next
    }
    if (index >= 0) start_copies(index + kStages - 1);
    __syncwarp();
    if (index >= 0 && index < grid_stages) {
      stage = next_stage(work.grid, stage, index);
      if (index == 0) {
        mask = WindowMask(work, own_tokens(), lane_of_thread());
        reach = reach_of(work, own_tokens());
        flat = work.tile_height == 1;
        __syncwarp();
      }
    } else {                                    // a single row that every token meets
      stage = next_stage(work.globals, stage, index < 0 ? 0 : index - grid_stages);
      if (index < 0) stage.slot = kBlocks;
      const int last = work.globals.column_last;
      mask.meet_all(last + 1);
      reach = own_tokens().exist(work) ? Reach{0, 0, 0, last, 0, last} : Reach{0, -1, 0, -1, 0, -1};
      flat = true;
      __syncwarp();
    }
    Rectangle rectangle(stage, reach);
    if (work.split >= 0) rectangle.keep_part(stage, own_tokens().part, own_tokens().parts);
    meet_columns<Tuning::kColumns>(pass, stage, reach, mask, flat, rectangle, buffers + larger(index, 0) % kStages * Pass::kStageBytes);
  }
  wait_for_copies<0>();
  const WarpTokens tokens = own_tokens();
  const LaneTokens lane(work, tokens, lane_of_thread());
  if (work.split < 0)
    pass.store(arguments, work, lane);
  else
    finish_share(pass, reinterpret_cast<float*>(shared), partial_rows(Pass::partials(arguments), arguments.layout, work, Pass::kPartialFloats), tokens, lane);
}

}  // namespace fovea::kernels::sm80
