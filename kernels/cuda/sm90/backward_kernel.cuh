// The gradient kernels: persistent CTAs, each with consumer warpgroups, a producer thread and a warp that brings statistics.
#pragma once

#include "kernels/cuda/sm90/backward_producer.cuh"
#include "kernels/cuda/sm90/key_gradients.cuh"
#include "kernels/cuda/sm90/query_gradients.cuh"
#include "kernels/cuda/sm90/register_budget.cuh"
#include "kernels/cuda/sm90/statistics.cuh"

namespace fovea::kernels::sm90 {

// Gradients: QueryGradients or KeyGradients.
template <class Gradients>
__global__ __launch_bounds__(Gradients::Config::kThreads, 1) void backward_kernel(const __grid_constant__ BackwardArguments arguments) {
  constexpr Pass kPass = Gradients::kPass;
  constexpr int kHeadDim = Gradients::kHeadDim;
  using Config = typename Gradients::Config;
  extern __shared__ __align__(1024) unsigned char memory[];
  const BackwardShared<kPass, kHeadDim> shared(memory, arguments.global_rows);
  const int warpgroup = threadIdx.x / 128;
  if (threadIdx.x == 0) shared.init_barriers();
  __syncthreads();

  if (warpgroup < Config::kConsumers) {
    raise_registers<Config::kConsumerRegisters>();
    Gradients(arguments, shared, warpgroup).run();
  } else {
    lower_registers<Config::kProducerRegisters>();
    const int warp = threadIdx.x / 32 - 4 * Config::kConsumers;
    if (warp == 0 && threadIdx.x % 32 == 0) BackwardProducer<kPass, kHeadDim>(arguments, shared).run();
    if (warp == 1) StatisticsLoader<kPass, kHeadDim>(arguments, shared).run();
  }
}

}  // namespace fovea::kernels::sm90
