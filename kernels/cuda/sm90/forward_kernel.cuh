// The forward kernel: persistent CTAs, each with three consumer warpgroups and a fourth one that holds the producer and the riders.
#pragma once

#include "kernels/cuda/sm90/grid_queries.cuh"
#include "kernels/cuda/sm90/producer.cuh"
#include "kernels/cuda/sm90/register_budget.cuh"
#include "kernels/cuda/sm90/rider.cuh"

namespace fovea::kernels::sm90 {

// Without global tokens their one block of keys and values is zeros, so that weights of zero meet no NaN.
template <int kHeadDim>
__device__ __forceinline__ void clear_globals(const SharedMemory<kHeadDim>& shared) {
  using Config = ForwardConfig<kHeadDim>;
  auto* words = reinterpret_cast<uint4*>(shared.generic + Config::kGlobalOffset);
  for (int i = threadIdx.x; i < kSegmentSlots * Config::global_bytes(kGlobalBlock) / 16; i += Config::kThreads) words[i] = uint4{};
  ptx::fence_async_proxy();
}

template <class Element, int kHeadDim>
__global__ __launch_bounds__(ForwardConfig<kHeadDim>::kThreads, 1) void forward_kernel(const __grid_constant__ ForwardArguments arguments) {
  using Config = ForwardConfig<kHeadDim>;
  extern __shared__ __align__(1024) unsigned char memory[];
  const SharedMemory<kHeadDim> shared(memory, arguments.global_rows, arguments.rider_rows);
  const int warpgroup = threadIdx.x / 128;
  if (threadIdx.x == 0) shared.init_barriers(riders_of(arguments.rider_rows));
  if (arguments.global_tokens == 0) clear_globals(shared);
  __syncthreads();
  ptx::launch_dependents();                     // the merge finds its place on multiprocessors that are done, and waits there

  if (warpgroup < kWarpgroups) {
    raise_registers<Config::kConsumerRegisters>();
    GridQueries<Element, kHeadDim>(arguments, shared, warpgroup).run();
  } else {
    lower_registers<Config::kProducerRegisters>();
    const int warp = ptx::uniform(threadIdx.x / 32) - 4 * kWarpgroups;
    if (warp == 0) {
      if (threadIdx.x % 32 == 0) Producer<kHeadDim>(arguments, shared).run();
    } else if (warp <= riders_of(arguments.rider_rows)) {
      Rider<Element, kHeadDim>(arguments, shared, warp - 1).run();
    }
  }
}

}  // namespace fovea::kernels::sm90
