// Loads by the tensor memory accelerator (TMA): a box of a tensor map into shared memory, zeros where it leaves the tensor.
// PTX ISA, cp.async.bulk.tensor; the barrier counts the box's bytes, zeros included.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace fovea::kernels::sm90 {

struct GridCoordinates {
  int column, head, x, y, batch;                // column: element of head_dim
};

__device__ __forceinline__ void load_box(std::uint32_t destination, const CUtensorMap& map, std::uint32_t barrier, GridCoordinates at) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6, %7}], [%2];"
      ::"r"(destination), "l"(&map), "r"(barrier), "r"(at.column), "r"(at.head), "r"(at.x), "r"(at.y), "r"(at.batch) : "memory");
}

struct TokenCoordinates {
  int column, head, token, batch;
};

__device__ __forceinline__ void load_box(std::uint32_t destination, const CUtensorMap& map, std::uint32_t barrier, TokenCoordinates at) {
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];"
               ::"r"(destination), "l"(&map), "r"(barrier), "r"(at.column), "r"(at.head), "r"(at.token), "r"(at.batch) : "memory");
}

// A single float by this thread; zero where there is none.
__device__ __forceinline__ void copy_float(std::uint32_t destination, const float* source, bool exists) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(destination), "l"(source), "r"(exists ? 4 : 0) : "memory");
}
// Arrives when this thread's floats have landed.
__device__ __forceinline__ void copies_arrive(std::uint32_t barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

__device__ __forceinline__ void prefetch_map(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

}  // namespace fovea::kernels::sm90
