// cp.async, and rows of tokens copied into swizzled shared memory.
#pragma once

#include "kernels/cuda/sm80/stages.h"

namespace fovea::kernels::sm80 {

__device__ inline std::uint32_t shared_address(const void* pointer) { return std::uint32_t(__cvta_generic_to_shared(pointer)); }

// Copies 16 bytes, or writes 16 zero bytes and reads nothing. Both addresses are multiples of 16.
__device__ inline void copy_16_or_zero(std::uint32_t destination, const void* source, bool read) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(destination), "l"(source), "r"(read ? 16 : 0) : "memory");
}
__device__ inline void copy_4_or_zero(std::uint32_t destination, const void* source, bool read) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(destination), "l"(source), "r"(read ? 4 : 0) : "memory");
}
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// Rows of kDim elements in shared memory. The 16-byte chunks of a row are permuted by the row's number, so that eight rows read at the
// same logical chunk (ldmatrix) fall into different banks.
template <class Element, int kDim>
struct SharedRows {
  static constexpr int kRowBytes = kDim * int(sizeof(Element));
  static constexpr int kChunks = kRowBytes / 16;
  static_assert(kChunks >= 4, "rows of at least 64 bytes");
  __device__ static std::uint32_t offset(int row, int chunk) {
    const int swizzle = kChunks >= 8 ? row & 7 : (row >> 1) & 3;
    return std::uint32_t(row * kRowBytes + ((chunk ^ swizzle) << 4));
  }
};

// A tensor's rows of one (batch, head).
template <class Element>
struct Plane {
  const Element* data;
  std::int64_t token_stride;
  __device__ Plane(const ConstView& view, const Work& work)
      : data(static_cast<const Element*>(view.data) + work.batch * view.batch_stride + work.head * view.head_stride),
        token_stride(view.token_stride) {}
  __device__ const Element* row(int token) const { return data + token * token_stride; }
};

// Where a thread's row of the stages comes from: which token, and whether the stage has that row at all.
struct StagedToken {
  int row, token;                               // row: of the stage; token -1: padding, to be zeros
  __device__ StagedToken(const Halo& halo, const Stage& stage, int index) {
    row = int(unsigned(index / kBlock) / unsigned(stage.blocks));
    const int column = stage.column + (index / kBlock - row * stage.blocks) * kBlock + index % kBlock;
    const bool exists = column >= halo.column_first && column <= halo.column_last;
    token = exists ? halo.map.base + (stage.row + row) * halo.map.row_stride + column * halo.map.column_stride : -1;
  }
};

// One thread's share of copying the stages of a halo, each a fixed number of rows below the last: its token's place in the rows stays, so
// that only addresses advance. Neighbouring threads share the chunks of a token.
template <class Tuning, class Element, int kDim>
class StageCopier {
  using Rows = SharedRows<Element, kDim>;
  static constexpr int kThreads = Tuning::kWarps * 32, kTokens = Tuning::kStageBlocks * kBlock;
  static constexpr int kChunkElements = 16 / int(sizeof(Element));

 public:
  static constexpr int kSharers = kThreads > kTokens ? kThreads / kTokens : 1;
  static_assert(kTokens * kSharers == kThreads && Rows::kChunks % kSharers == 0, "one token a thread, or equal parts of one");

  __device__ void start(const Halo& halo, const Stage& stage, const Plane<Element>& a, const Plane<Element>& b) {
    const StagedToken staged(halo, stage, slot());
    row_ = stage.row + staged.row;
    row_end_ = staged.row < halo.rows_per_stage ? halo.row_last + 1 : row_;        // behind the stage: nothing to copy, ever
    read_ = staged.token >= 0;
    token_ = larger(staged.token, 0);
    a_ = a.row(token_) + part() * kChunkElements;
    b_ = b.row(token_) + part() * kChunkElements;
  }
  __device__ static int slot() { return int(threadIdx.x) / kSharers; }           // the row of the stage
  __device__ static int part() { return int(threadIdx.x) % kSharers; }
  __device__ int token() const { return read_ ? token_ : -1; }
  __device__ bool stored() const { return row_ < row_end_; }

  __device__ void copy(std::uint32_t first, std::uint32_t second) const {
    if (!stored()) return;
#pragma unroll
    for (int i = 0; i < Rows::kChunks / kSharers; ++i) {
      const std::uint32_t offset = Rows::offset(slot(), i * kSharers + part());
      copy_16_or_zero(first + offset, a_ + i * kSharers * kChunkElements, read_);
      copy_16_or_zero(second + offset, b_ + i * kSharers * kChunkElements, read_);
    }
  }
  __device__ void advance(const Halo& halo, std::int64_t stride_a, std::int64_t stride_b) {
    const int tokens = halo.rows_per_stage * halo.map.row_stride;
    row_ += halo.rows_per_stage;
    token_ += tokens;
    if (!stored()) return;                      // the pointers stay inside the tensor
    a_ += tokens * stride_a;
    b_ += tokens * stride_b;
  }

 private:
  const Element *a_, *b_;
  int row_, row_end_, token_;
  bool read_;
};

}  // namespace fovea::kernels::sm80
