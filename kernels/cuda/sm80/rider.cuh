// The warp that takes the global tokens along with a strip: they meet the strip's own tokens in the stages that pass by anyway. Every token
// of the grid is some strip's own, so together the strips bring them the whole sequence, without a second pass over it.
#pragma once

#include "kernels/cuda/sm80/mask.cuh"
#include "kernels/cuda/sm80/products.cuh"
#include "kernels/cuda/sm80/ring.cuh"
#include "kernels/cuda/sm80/work.h"

namespace fovea::kernels::sm80 {

template <class Tuning>
struct OneSubtile : Tuning {
  static constexpr int kSubtiles = 1;           // up to 16 global tokens
};

template <class Pass>
class Rider {
  using Riding = typename Pass::Riding;         // the same pass with one subtile
  using Room = typename Pass::Room;

 public:
  // `work`: the strip; `globals`: the global tokens as a tile.
  __device__ Rider(const Arguments& arguments, const Work& work, const Work& globals, const RingBarriers& barriers, std::uint32_t shared)
      : arguments_(arguments), work_(work), globals_(globals), barriers_(barriers), shared_(shared), own_(work) {}

  __device__ void run() {
    const Layout& layout = arguments_.layout;
    const Tile tile(globals_, WarpPlace(globals_, 0), 0);
    Riding pass(arguments_, globals_, tile);
    RingPlace place = start_of_ring<Room>(layout, barriers_, shared_);
    const int count = work_.grid.stages, columns = work_.global_columns;
    // Once for each (batch, head), before the stages: what the global tokens give each other.
#pragma unroll 1
    for (bool globals = work_.strip == 0; globals || place.index() < count; globals = false) {
      const Stage stage = globals ? Stage{} : stage_of(work_.grid, work_.flat, place.index());
      const BlockRange blocks =
          globals ? BlockRange{0, global_blocks(columns)} : blocks_of_columns(work_.flat, own_.column_first, own_.column_last, stage);
      if (globals) RingBarriers::wait(barriers_.globals(), 0); else place.wait_until_full();
      const Room room(globals ? shared_ : place.room(), globals ? blocks.end : layout.stage_blocks);
      if (globals || work_.flat)
        meet_row(pass, room, stage.column, blocks, globals ? RowWindow(0, columns - 1) : RowWindow(own_.column_first, own_.column_last));
      else
        meet_rows(pass, room, stage, blocks);
      if (!globals) place.release();
    }
    pass.store_partial(partial_rows(Pass::partials(arguments_), layout, work_, layout.splits, work_.strip, Pass::kPartialFloats), globals_,
                       tile);
  }

 private:
  __device__ void meet_rows(Riding& pass, const Room& room, const Stage& stage, const BlockRange& blocks) const {
    const ColumnWindow window(own_.column_first, own_.column_last);
    StripMask mask{{true, true}, {own_.has_row(stage.row) ? ~0u : 0u, own_.has_row(stage.row + 1) ? ~0u : 0u}};
    if ((mask.groups[0] | mask.groups[1]) == 0) return;
#pragma unroll 1
    for (int c = blocks.begin; c < blocks.end; ++c) {
      mask.meet_column(window, stage.column + c * kBlock);
      pass.template meet<0, 1>(Patch(room, c, stage.blocks), mask);
    }
  }
  __device__ static void meet_row(Riding& pass, const Room& room, int first_column, const BlockRange& blocks, const RowWindow& window) {
    RowMask mask{window, 0, 0, false};
#pragma unroll 1
    for (int c = blocks.begin; c < blocks.end; c += 2) {
      mask.column = first_column + c * kBlock;
      pass.template meet<0, 1>(Patch(room, c, 1), mask);
    }
  }

  const Arguments& arguments_;
  const Work &work_, &globals_;
  RingBarriers barriers_;
  std::uint32_t shared_;
  OwnTokens own_;
};

// Leaves what a strip that does not exist gives the global tokens: nothing. By all threads.
template <class Pass>
__device__ void store_nothing(const Arguments& arguments, const Work& work) {
  const Layout& layout = arguments.layout;
  float* rows = partial_rows(Pass::partials(arguments), layout, work, layout.splits, work.strip, Pass::kPartialFloats);
  for (int i = int(threadIdx.x); i < layout.global_tokens * Pass::kPartialFloats; i += int(blockDim.x))
    rows[i] = Pass::nothing(i % Pass::kPartialFloats);
}

}  // namespace fovea::kernels::sm80
