// How a stage, or the global tokens, lie in shared memory: two operands (keys and values, or queries and output gradients) and, where a
// pass streams them, lse and delta of each token.
#pragma once

#include "kernels/cuda/sm80/fragments_float32.cuh"
#include "kernels/cuda/sm80/ring.cuh"

namespace fovea::kernels::sm80 {

template <class Element, int kDim, bool kWithStatistics>
struct Room {
  static constexpr int kBlockBytes = kBlock * SharedRows<Element, kDim>::kRowBytes;
  static constexpr int kStatisticBytes = kWithStatistics ? 4 : 0;              // of a token

  std::uint32_t first, second, statistics;      // addresses: lse of all tokens, then delta of all tokens
  int blocks;

  __device__ Room(std::uint32_t address, int capacity)
      : first(address), second(address + capacity * kBlockBytes), statistics(second + capacity * kBlockBytes), blocks(capacity) {}
  __host__ __device__ static int bytes(int capacity) {             // a multiple of 1024: swizzled rows stay aligned
    return (2 * capacity * (kBlockBytes + kBlock * kStatisticBytes) + 1023) / 1024 * 1024;
  }
};

FOVEA_HOST_DEVICE int global_blocks(int global_tokens) { return divide_up(global_tokens, 2 * kBlock) * 2; }

// Shared memory: the global tokens, which stay, then the ring.
template <class Room>
__host__ __device__ int globals_bytes(const Layout& layout) { return Room::bytes(global_blocks(layout.global_tokens)); }
template <class Room>
__device__ RingPlace start_of_ring(const Layout& layout, const RingBarriers& barriers, std::uint32_t shared) {
  return RingPlace(barriers, shared + globals_bytes<Room>(layout), Room::bytes(layout.stage_blocks), layout.stages);
}

// Two blocks of 8 tokens that a tile meets at once, `distance` blocks apart.
struct Patch {
  std::uint32_t first, second, statistics;      // where the first block lies in each operand; its tokens' lse
  int distance, delta_offset;                   // delta_offset: bytes from a token's lse to its delta

  template <class Room>
  __device__ Patch(const Room& room, int block, int distance_in_blocks)
      : first(room.first + block * Room::kBlockBytes), second(room.second + block * Room::kBlockBytes),
        statistics(room.statistics + block * kBlock * 4), distance(distance_in_blocks), delta_offset(room.blocks * kBlock * 4) {}
};

}  // namespace fovea::kernels::sm80
