// Copies by the tensor memory accelerator (TMA). A box of a tensor map comes into shared memory with zeros where it leaves the tensor, and
// the barrier counts its bytes, zeros included; of a box that goes out, what lies outside the tensor is left out.
// PTX ISA, cp.async.bulk.tensor.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "kernels/cuda/sm90/strip_stream.h"

namespace fovea::kernels::sm90 {

struct GridCoordinates {
  int column, head, x, y, batch;                // column: element of head_dim
};

// From a phase's coordinates to the grid's; the maps step `dilation` tokens.
__device__ __forceinline__ GridCoordinates grid_coordinates(const Segment& segment, const DilationGroup& group, int x, int y) {
  return {0, segment.head, x * group.x.dilation + segment.phase_x, y * group.y.dilation + segment.phase_y, segment.batch};
}

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

// The thread's boxes that go out are a group; the source may be written again once they have been read, and must stay until then.
__device__ __forceinline__ void store_box(const CUtensorMap& map, std::uint32_t source, GridCoordinates at) {
  asm volatile("cp.async.bulk.tensor.5d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5, %6}], [%1];"
               ::"l"(&map), "r"(source), "r"(at.column), "r"(at.head), "r"(at.x), "r"(at.y), "r"(at.batch) : "memory");
}
__device__ __forceinline__ void stores_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
__device__ __forceinline__ void stores_wait_read() { asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory"); }
__device__ __forceinline__ void stores_wait() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }

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
