// The warps that fill the ring: copies of 16 bytes straight from the projections into swizzled rows, and zeros for what lies outside.
#pragma once

#include "kernels/cuda/sm80/arguments.cuh"
#include "kernels/cuda/sm80/ring.cuh"
#include "kernels/cuda/sm80/room.cuh"

namespace fovea::kernels::sm80 {

template <class Pass>
class Producer {
  using Element = typename Pass::Element;
  using Room = typename Pass::Room;
  using Rows = SharedRows<Element, Pass::kDim>;
  static constexpr int kTokens = 32 / Rows::kChunks;              // copied at once; lane: token lane / kChunks, chunk lane % kChunks
  static_assert(kTokens >= 1, "rows of at most 512 bytes");

  static constexpr int kCopies = kBlock / kTokens;                // of a lane, for a block and operand

 public:
  // Producer `number` of `sharers`, which take blocks in turn.
  __device__ Producer(const Arguments& arguments, const Work& work, int number, int sharers)
      : arguments_(arguments), work_(work), first_(Pass::streamed_first(arguments), work), second_(Pass::streamed_second(arguments), work),
        lane_(int(threadIdx.x) % 32), number_(number), sharers_(sharers) {
#pragma unroll
    for (int i = 0; i < kCopies; ++i) offset_[i] = Rows::offset(i * kTokens + lane_ / Rows::kChunks, lane_ % Rows::kChunks);
  }

  __device__ void run(const RingBarriers& barriers, std::uint32_t shared) const {
    const Layout& layout = arguments_.layout;
    if (work_.global_columns > 0) {
      const int blocks = global_blocks(work_.global_columns);
      copy_row(Room(shared, blocks), 0, {0, 0, 1}, 0, 0, blocks, 0, work_.global_columns - 1);
      RingBarriers::arrive_after_copies(barriers.globals());
    }
    RingPlace place = start_of_ring<Room>(layout, barriers, shared);
    const int count = work_.grid.stages;
#pragma unroll 1
    while (place.index() < count) {
      place.wait_until_empty();
      copy_stage(Room(place.room(), layout.stage_blocks), stage_of(work_.grid, work_.flat, place.index()));
      place.fill();
    }
  }

 private:
  __device__ void copy_stage(const Room& room, const Stage& stage) const {
    const Halo& halo = work_.grid;
    const TokenMap map = halo.map;
#pragma unroll 1
    for (int i = 0; i < stage.rows; ++i) {
      const int row = stage.row + i;
      const bool exists = row >= halo.row_first && row <= halo.row_last;
      copy_row(room, i * stage.blocks, map, row, stage.column, stage.blocks, exists ? halo.column_first : 1, exists ? halo.column_last : 0);
    }
  }

  // `blocks` blocks of a row of tokens, from `column` on, into the room's blocks from `block` on; columns outside first .. last as zeros.
  __device__ void copy_row(const Room& room, int block, const TokenMap& map, int row, int column, int blocks, int first, int last) const {
    const int begin = sharers_ == 1 ? 0 : (block + number_) & 1;   // this producer's first
    const int own_column = column + begin * kBlock + lane_ / Rows::kChunks;
    const std::int64_t token = map.base + std::int64_t(row) * map.row_stride + std::int64_t(own_column) * map.column_stride;
    const Element* a = first_.data + token * first_.token_stride + lane_ % Rows::kChunks * (16 / int(sizeof(Element)));
    const Element* b = second_.data + token * second_.token_stride + lane_ % Rows::kChunks * (16 / int(sizeof(Element)));
    const std::int64_t step_a = map.column_stride * first_.token_stride, step_b = map.column_stride * second_.token_stride;
    std::uint32_t to_a = room.first + (block + begin) * Room::kBlockBytes, to_b = room.second + (block + begin) * Room::kBlockBytes;
#pragma unroll 1
    for (int c = own_column; c < column + blocks * kBlock; c += sharers_ * kBlock) {
#pragma unroll
      for (int i = 0; i < kCopies; ++i) {
        const bool read = c + i * kTokens >= first && c + i * kTokens <= last;
        copy_16_or_zero(to_a + offset_[i], a + i * kTokens * step_a, read);
        copy_16_or_zero(to_b + offset_[i], b + i * kTokens * step_b, read);
      }
      a += sharers_ * kBlock * step_a;
      b += sharers_ * kBlock * step_b;
      to_a += sharers_ * Room::kBlockBytes;
      to_b += sharers_ * Room::kBlockBytes;
    }
    if constexpr (Room::kStatisticBytes > 0) copy_statistics(room, block, map, row, column, blocks, first, last);
  }

  __device__ void copy_statistics(const Room& room, int block, const TokenMap& map, int row, int column, int blocks, int first,
                                  int last) const {
    const std::int64_t plane = row_index(arguments_.layout, work_);
#pragma unroll 1
    for (int i = lane_; i < blocks * kBlock; i += 32) {
      const bool read = column + i >= first && column + i <= last;
      const std::int64_t token = plane + map.base + std::int64_t(row) * map.row_stride + std::int64_t(column + i) * map.column_stride;
      const std::uint32_t destination = room.statistics + (block * kBlock + i) * 4;
      for (int which = number_; which < 2; which += sharers_)
        copy_4_or_zero(destination + which * room.blocks * kBlock * 4, (which == 0 ? arguments_.lse : arguments_.delta) + token, read);
    }
  }

  const Arguments& arguments_;
  const Work& work_;
  Plane<Element> first_, second_;
  int lane_, number_, sharers_;
  std::uint32_t offset_[kCopies];               // of this lane's copies, within a block
};

}  // namespace fovea::kernels::sm80
