// The frame of all three passes (forward, gradient of queries, gradient of keys and values): tiles of tokens stay in the registers of a
// warp and meet their halo as it streams through shared memory. The window is a symmetric relation, so the same tokens are met whether
// queries look for keys or keys for queries.
#pragma once

#include "kernels/cuda/sm80/producer.cuh"
#include "kernels/cuda/sm80/rider.cuh"

namespace fovea::kernels::sm80 {

// Waits for all warps that own tiles, and for nobody else.
template <class Tuning>
__device__ void wait_for_consumers() {
  asm volatile("bar.sync 1, %0;" ::"n"(Tuning::kWarps * 32) : "memory");
}

// One warp that owns tiles. Pass: Element, kDim, Tuning, Room, Riding, kPartialFloats, the tensors that stream past, meet(a patch),
// store(results), store_partial(), add_partial(), nothing().
template <class Pass>
class Consumer {
  using Room = typename Pass::Room;
  static constexpr int kSubtiles = Pass::Tuning::kSubtiles;

 public:
  __device__ Consumer(const Arguments& arguments, const Work& work, const RingBarriers& barriers, unsigned char* shared)
      : arguments_(arguments), work_(work), barriers_(barriers), shared_(shared), place_(work, int(threadIdx.x) / 32),
        ring_(start_of_ring<Room>(arguments.layout, barriers, shared_address(shared))) {}

  __device__ void run() {
#pragma unroll 1
    for (int t = place_.first_tile; t < work_.tiles && place_.exists; t += work_.down) {
      const Tile tile(work_, place_, t);
      Pass pass(arguments_, work_, tile);
      if (work_.global_columns > 0) meet_globals(pass);
      if (work_.flat) meet_row(pass, tile);
      else meet_rows(pass, tile);
      if (work_.split < 0) pass.store(arguments_, work_, tile);
      else gather(pass, tile);
    }
    ring_.skip_until(work_.grid.stages);
    if (work_.split >= 0 && !place_.exists)
      for (int part = 0; part < work_.down; ++part) wait_for_consumers<typename Pass::Tuning>();
  }

 private:
  // Puts together what the warps that share global tokens have, one after the other, and leaves the sum as this share's partial results.
  __device__ void gather(Pass& pass, const Tile& tile) {
    const Layout& layout = arguments_.layout;
    float* partials = partial_rows(Pass::partials(arguments_), layout, work_, layout.splits, work_.split, Pass::kPartialFloats);
    float* gathered = reinterpret_cast<float*>(shared_);
#pragma unroll 1
    for (int part = 0; part < place_.parts; ++part) {
      wait_for_consumers<typename Pass::Tuning>();
      if (part != place_.part) continue;
      if (part > 0) pass.add_partial(gathered, work_, tile);
      __syncwarp();                             // all lanes of a row have read what one of them replaces
      pass.store_partial(part + 1 < place_.parts ? gathered : partials, work_, tile);
    }
  }

  // The rows of a strip, two a stage.
  __device__ void meet_rows(Pass& pass, const Tile& tile) {
    const StageRange range = stages_of_tile(work_, tile.y);
    const RowReach reach(work_, tile);
    const ColumnWindow window(work_, tile, lane_of_thread());
    ring_.skip_until(range.begin);
    Stage stage = stage_of(work_.grid, false, range.begin);
    BlockRange blocks = blocks_of_tile(work_, tile.x, stage);
    const bool panels = work_.grid.panels > 1;
    int distance = stage.row - reach.origin;
#pragma unroll 1
    while (ring_.index() < range.end) {
      StripMask mask{{true, true}, {~0u, ~0u}};
      if (!reach.whole(distance))
        mask.groups[0] = reach.groups_that_meet(work_, distance), mask.groups[1] = reach.groups_that_meet(work_, distance + 1);
      ring_.wait_until_full();
      meet_pair(pass, stage, blocks, window, mask);
      ring_.release();
      distance += 2;
      if (!panels) continue;
      stage = stage_of(work_.grid, false, ring_.index());
      blocks = blocks_of_tile(work_, tile.x, stage);
      distance = stage.row - reach.origin;
    }
  }
  __device__ void meet_pair(Pass& pass, const Stage& stage, const BlockRange& blocks, const ColumnWindow& window, StripMask& mask) {
    const unsigned any = mask.groups[0] | mask.groups[1];
    const bool first = any & 3u, second = kSubtiles == 2 && any >> 2;
    if (first && (second || kSubtiles == 1)) meet_blocks<0, kSubtiles>(pass, stage, blocks, window, mask);
    else if (first) meet_blocks<0, 1>(pass, stage, blocks, window, mask);
    else if (second) meet_blocks<kSubtiles - 1, kSubtiles>(pass, stage, blocks, window, mask);
  }
  template <int kFrom, int kTo>
  __device__ void meet_blocks(Pass& pass, const Stage& stage, const BlockRange& blocks, const ColumnWindow& window, StripMask& mask) {
    const Room room(ring_.room(), arguments_.layout.stage_blocks);
#pragma unroll 1
    for (int c = blocks.begin; c < blocks.end; ++c) {
      mask.meet_column(window, stage.column + c * kBlock);
      pass.template meet<kFrom, kTo>(Patch(room, c, stage.blocks), mask);
    }
  }

  // A single row, a piece of it a stage; of a share of the sequence, every `parts`-th stage.
  __device__ void meet_row(Pass& pass, const Tile& tile) {
    const int end = work_.grid.stages;
    ring_.skip_until(smaller(end, place_.part));
#pragma unroll 1
    while (ring_.index() < end) {
      const Stage stage = stage_of(work_.grid, true, ring_.index());
      ring_.wait_until_full();
      meet_side_by_side(pass, tile, stage);
      ring_.release();
      ring_.skip_until(smaller(end, ring_.index() + place_.parts - 1));
    }
  }
  __device__ void meet_side_by_side(Pass& pass, const Tile& tile, const Stage& stage) const {
    const Room room(ring_.room(), arguments_.layout.stage_blocks);
    const BlockRange blocks = blocks_of_tile(work_, tile.x, stage);
    const bool full = tile.x + kSubtile < work_.width;             // the second subtile holds tokens
    RowMask mask{RowWindow(work_, tile, lane_of_thread()), 0, kBlock, false};
#pragma unroll 1
    for (int c = blocks.begin; c < blocks.end; c += 2) {
      mask.column = stage.column + c * kBlock;
      mask.all = all_meet(work_, tile, mask.column, mask.column + 2 * kBlock - 1);
      if (kSubtiles == 1 || full) pass.template meet<0, kSubtiles>(Patch(room, c, 1), mask);
      else pass.template meet<0, 1>(Patch(room, c, 1), mask);
    }
  }

  __device__ void meet_globals(Pass& pass) const {
    RingBarriers::wait(barriers_.globals(), 0);
    const int blocks = global_blocks(work_.global_columns);
    const Room room(shared_address(shared_), blocks);
    RowMask mask{RowWindow(0, work_.global_columns - 1), 0, 0, false};
#pragma unroll 1
    for (int c = 0; c < blocks; c += 2) {
      mask.column = c * kBlock;
      mask.all = mask.column + 2 * kBlock <= work_.global_columns;
      pass.template meet<0, kSubtiles>(Patch(room, c, 1), mask);
    }
  }

  const Arguments& arguments_;
  const Work& work_;
  RingBarriers barriers_;
  unsigned char* shared_;
  WarpPlace place_;
  RingPlace ring_;
};

// Warps 0 .. kWarps - 1 own tiles; then one that copies; the last takes the global tokens along, or copies too.
template <class Pass>
__global__ void __launch_bounds__((Pass::Tuning::kWarps + 2) * 32, Pass::Tuning::kResidentBlocks)
    run_pass(const __grid_constant__ Arguments arguments) {
  constexpr int kWarps = Pass::Tuning::kWarps;
  extern __shared__ __align__(1024) unsigned char shared[];
  __shared__ Work work, global_work;
  __shared__ std::uint64_t barrier_words[RingBarriers::kCount];
  __shared__ int exists;
  const RingBarriers barriers(shared_address(barrier_words));
  const bool rides = arguments.layout.rides;
  if (threadIdx.x == 0) {
    exists = locate(arguments.layout, arguments.heads, blockIdx.x, work);
    barriers.initialise(rides ? kWarps + 1 : kWarps, rides ? 1 : 2);
    if (rides) place_global_tokens(arguments.layout, work.strip, global_work), global_work.batch = work.batch, global_work.head = work.head;
  }
  __syncthreads();
  if (!exists) {
    if (rides) store_nothing<Pass>(arguments, work);
    return;
  }
  const int role = int(threadIdx.x) / 32 - kWarps;
  if (role < 0) {
    Consumer<Pass>(arguments, work, barriers, shared).run();
  } else if (role == 1 && rides) {
    Rider<Pass>(arguments, work, global_work, barriers, shared_address(shared)).run();
  } else {
    Producer<Pass>(arguments, work, role, rides ? 1 : 2).run(barriers, shared_address(shared));
  }
}

}  // namespace fovea::kernels::sm80
