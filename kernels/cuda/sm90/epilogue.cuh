// A finished tile: its rows by way of shared memory and TMA, and their log-sum-exp.
#pragma once

#include "kernels/cuda/sm90/copies.cuh"
#include "kernels/cuda/sm90/shared_memory.cuh"
#include "kernels/cuda/sm90/softmax.cuh"
#include "kernels/cuda/sm90/window_masks.h"

namespace fovea::kernels::sm90 {

constexpr float kLn2 = 0.6931471805599453f;
constexpr int kWarpRows = kQueryRows / 4;       // of a tile

// Accumulator rows of a warp, scaled, to 16 rows of 128 bytes in the 128-byte swizzle; rows start at a multiple of 1024 bytes.
template <class Element>
__device__ __forceinline__ void stage_rows(const float (&output)[32], const float (&factor)[2], std::uint32_t rows) {
  const int lane = threadIdx.x % 32, matrix = lane / 8, row = matrix % 2 * 8 + lane % 8;
#pragma unroll
  for (int block = 0; block < 8; block += 2) {
    std::uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int at = (block + i / 2) * 4 + i % 2 * 2;
      words[i] = Element::pack(output[at] * factor[i % 2], output[at + 1] * factor[i % 2]);
    }
    const std::uint32_t to = rows + row * kSwizzleBytes + (((block + matrix / 2) ^ (row & 7)) << 4);
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(words[0]), "r"(words[1]), "r"(words[2]),
                 "r"(words[3])
                 : "memory");
  }
}

template <int kHalves>
__device__ __forceinline__ void store_halves(const CUtensorMap& map, std::uint32_t rows, int half_bytes, GridCoordinates at) {
#pragma unroll
  for (int half = 0; half < kHalves; ++half, at.column += kHalfColumns) store_box(map, rows + half * half_bytes, at);
}

// Sends what the warp staged, two rows of 8 tokens, half by half; one lane, which will wait for it.
template <int kHalves>
__device__ __forceinline__ void send_rows(const CUtensorMap& map, std::uint32_t rows, int half_bytes, GridCoordinates at) {
  ptx::fence_async_proxy();
  __syncwarp();
  if (threadIdx.x % 32 != 0) return;
  store_halves<kHalves>(map, rows, half_bytes, at);
  stores_commit();
}

// Likewise two rows that are not neighbours.
template <int kHalves>
__device__ __forceinline__ void send_rows(const CUtensorMap& map, std::uint32_t rows, int half_bytes, GridCoordinates first,
                                          GridCoordinates second) {
  ptx::fence_async_proxy();
  __syncwarp();
  if (threadIdx.x % 32 != 0) return;
  store_halves<kHalves>(map, rows, half_bytes, first);
  store_halves<kHalves>(map, rows + kTile * kSwizzleBytes, half_bytes, second);
  stores_commit();
}

// What belongs to a thread's two rows of a tile besides the output.
template <class Element>
struct TileRows {
  const ForwardArguments& arguments;
  const Segment& segment;
  float lse[2], factor[2];
  std::int64_t token[2];                        // of the sequence; -1: outside the grid

  template <class Softmax>
  __device__ __forceinline__ TileRows(const ForwardArguments& arguments, const Segment& segment, int tile, const Softmax& softmax)
      : arguments(arguments), segment(segment) {
    const DilationGroup& group = arguments.schedule.groups[segment.group];
    const int x = segment.x0 + threadIdx.x % 32 / 4;
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      const int y = tile * kTile + threadIdx.x / 32 % 4 + row * kRowDistance;
      const float sum = softmax.total(row);
      lse[row] = kLn2 * (__log2f(sum) - softmax.shift[row]);
      factor[row] = __fdividef(1.0f, sum);
      const std::int64_t grid_y = y * group.y.dilation + segment.phase_y, grid_x = x * group.x.dilation + segment.phase_x;
      token[row] = x < segment.columns && y < segment.rows ? arguments.global_tokens + grid_y * arguments.grid_width + grid_x : -1;
    }
  }

  __device__ __forceinline__ void store_statistics() const {
    const std::int64_t plane = static_cast<std::int64_t>(segment.batch) * arguments.schedule.heads + segment.head;
#pragma unroll
    for (int row = 0; row < 2; ++row)
      if (token[row] >= 0 && threadIdx.x % 4 == 0)
        arguments.output.lse[plane * arguments.tokens + token[row]] = lse[row];
  }
};

}  // namespace fovea::kernels::sm90
