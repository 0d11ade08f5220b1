// cp.async, and rows of tokens in swizzled shared memory.
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

}  // namespace fovea::kernels::sm80
