// Writes a finished tile: output rows 16 bytes a lane, log-sum-exp, and a mark on rows that the repair must compute again.
#pragma once

#include "kernels/cuda/sm90/shared_memory.cuh"
#include "kernels/cuda/sm90/softmax.cuh"

namespace fovea::kernels::sm90 {

constexpr float kLn2 = 0.6931471805599453f;
constexpr std::uint32_t kRepairMark = 0x7fffdeadu;            // a quiet NaN in the place of a row's log-sum-exp

// 4x4 transpose inside a quad of lanes: lane c holds words c of four 16-byte pieces and ends with the four words of piece c.
__device__ __forceinline__ uint4 quad_transpose(const std::uint32_t (&u)[4], int lane) {
  const bool odd = lane & 1, high = lane & 2;
  const std::uint32_t r0 = __shfl_xor_sync(~0u, odd ? u[0] : u[1], 1), r1 = __shfl_xor_sync(~0u, odd ? u[2] : u[3], 1);
  const std::uint32_t a0 = odd ? r0 : u[0], a1 = odd ? u[1] : r0, b0 = odd ? r1 : u[2], b1 = odd ? u[3] : r1;
  const std::uint32_t s0 = __shfl_xor_sync(~0u, high ? a0 : b0, 2), s1 = __shfl_xor_sync(~0u, high ? a1 : b1, 2);
  return high ? make_uint4(s0, s1, b0, b1) : make_uint4(a0, a1, s0, s1);
}

// One accumulator row, scaled, to head_dim contiguous elements. All four lanes of the row's quad take part, also if nothing is written.
template <class Element, int kHalves>
__device__ __forceinline__ void store_row(const float (&output)[kHalves][32], int row, float factor, typename Element::Type* destination,
                                          int head_dim, bool write) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int half = 0; half < kHalves; ++half)
#pragma unroll
    for (int quarter = 0; quarter < 2; ++quarter) {
      std::uint32_t words[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int at = (quarter * 4 + j) * 4 + row * 2;
        words[j] = Element::pack(output[half][at] * factor, output[half][at + 1] * factor);
      }
      const uint4 piece = quad_transpose(words, lane);
      const int column = half * kHalfColumns + quarter * 32 + lane % 4 * 8;
      if (write && column < head_dim) *reinterpret_cast<uint4*>(destination + column) = piece;
    }
}

// Returns whether this thread left a row to the repair.
template <class Element, int kHalves, class Softmax>
__device__ __forceinline__ bool store_tile(const ForwardArguments& arguments, const Segment& segment, int tile,
                                           const float (&output)[kHalves][32], const Softmax& softmax) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
  const DilationGroup& group = arguments.schedule.groups[segment.group];
  const OutputView& view = arguments.output;
  const int x = segment.x0 + lane / 4;
  const std::int64_t plane = static_cast<std::int64_t>(segment.batch) * arguments.schedule.heads + segment.head;
  bool damaged = false;
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const int y = tile * kTile + warp * 2 + row;
    const bool inside = x < segment.columns && y < segment.rows;
    const std::int64_t grid_y = y * group.y.dilation + segment.phase_y, grid_x = x * group.x.dilation + segment.phase_x;
    const std::int64_t token = arguments.global_tokens + grid_y * arguments.grid_width + grid_x;
    const float sum = softmax.total(row);
    auto* destination = static_cast<typename Element::Type*>(view.data) + segment.batch * view.batch_stride + token * view.token_stride +
                        segment.head * view.head_stride;
    store_row<Element, kHalves>(output, row, 1.0f / sum, destination, arguments.head_dim, inside);
    if (inside && lane % 4 == 0) {
      const bool spoilt = Element::kWideRange && !(sum < kLargestSum);
      damaged |= spoilt;
      view.lse[plane * arguments.tokens + token] =
          spoilt ? __uint_as_float(kRepairMark) : kLn2 * (log2f(sum) - softmax.shift[row]);
    }
  }
  return damaged;
}

}  // namespace fovea::kernels::sm90
