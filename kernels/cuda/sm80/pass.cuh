// The frame of all three passes (forward, gradient of queries, gradient of keys and values): a thread block keeps its tokens in
// registers and meets its halo as it streams through shared memory, stage by stage. The window is a symmetric relation, so the same
// tokens are met whether queries look for keys or keys for queries.
#pragma once

#include "kernels/cuda/sm80/products.cuh"
#include "kernels/cuda/sm80/work.cuh"

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

// This share's row of partial results for a global token.
__device__ inline float* partial_row(float* partials, const Layout& layout, const Work& work, int token, int row_floats) {
  const std::int64_t plane = std::int64_t(work.batch) * layout.heads + work.head;
  return partials + ((plane * layout.splits + work.split) * layout.global_tokens + token) * row_floats;
}

// Pass: Element, kDim, Tuning {kSub, kWarps, kStageBlocks, kStages, kPairs, kResidentBlocks}; kStageBytes; start(copies of a stage),
// meet<kCount>(blocks of a stage), finish().
template <class Pass>
__global__ void __launch_bounds__(Pass::Tuning::kWarps * 32, Pass::Tuning::kResidentBlocks) run_pass(const __grid_constant__ Arguments arguments) {
  using Tuning = typename Pass::Tuning;
  constexpr int kBlocks = Tuning::kStageBlocks, kStages = Tuning::kStages;
  extern __shared__ __align__(1024) unsigned char shared[];
  __shared__ Work work;
  __shared__ int exists;
  if (threadIdx.x == 0) exists = locate(arguments.layout, arguments.heads, blockIdx.x, kBlocks, work);
  __syncthreads();
  if (!exists) return;

  const std::uint32_t buffers = shared_address(shared);
  const int stages = work.grid.stages + work.globals.stages;
  auto start_copies = [&](int index) {
    if (index < stages) {
      const bool in_grid = index < work.grid.stages;
      const Halo& halo = in_grid ? work.grid : work.globals;
      Pass::copy(arguments, work, halo, stage_of(halo, in_grid ? index : index - work.grid.stages, kBlocks),
                 buffers + index % kStages * Pass::kStageBytes);
    }
    commit_copies();                            // one group a stage, empty past the end
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) start_copies(i);

  const WarpTokens<Tuning::kSub> tokens(work, threadIdx.x / 32);
  WindowMask<Tuning::kSub> mask(work, tokens, threadIdx.x % 32 / 4);
  Reach reach = reach_of(work, tokens);
  Pass pass(arguments, work, tokens);

#pragma unroll 1
  for (int index = 0; index < stages; ++index) {
    wait_for_copies<kStages - 2>();
    __syncthreads();                            // the stage has landed, and everybody is done with the one overwritten next
    start_copies(index + kStages - 1);
    const bool in_grid = index < work.grid.stages;
    if (index == work.grid.stages) {            // the global tokens come last: every token meets all of them
      mask.meet_all(work.globals.column_last + 1);
      if (tokens.exist(work)) reach = {0, 0, 0, work.globals.column_last};
    }
    const Halo& halo = in_grid ? work.grid : work.globals;
    const Stage stage = stage_of(halo, in_grid ? index : index - work.grid.stages, kBlocks);
    const std::uint32_t buffer = buffers + index % kStages * Pass::kStageBytes;
    BlockRun run(halo, stage, reach);
    while (run.left() > 2 * (Tuning::kPairs - 1)) pass.meet(run.template take<2 * Tuning::kPairs>(), mask, buffer);
    while (run.left() > 0) pass.meet(run.template take<2>(), mask, buffer);
  }
  wait_for_copies<0>();
  pass.finish(arguments, work, tokens);
}

}  // namespace fovea::kernels::sm80
