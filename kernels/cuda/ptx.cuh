// The PTX instructions that CUDA C++ has no name for: shared-memory barriers (mbarrier), fences and the fast exponential.
// PTX ISA 8.8, sections 9.7.13 (mbarrier), 9.7.9 (copies), 9.7.3 (ex2).
#pragma once

#include <cstdint>

namespace fovea::kernels::ptx {

__device__ __forceinline__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ __forceinline__ void barrier_init(std::uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals));
}

// Makes initialised barriers visible to the copy engine; __syncthreads() follows.
__device__ __forceinline__ void barrier_init_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

__device__ __forceinline__ void barrier_arrive(std::uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

// As many arrivals as a warp has lanes, by one of them.
__device__ __forceinline__ void barrier_arrive_warp(std::uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0], 32;" ::"r"(barrier) : "memory");
}

// One arrival that also announces how many bytes asynchronous copies will bring before the phase can complete.
__device__ __forceinline__ void barrier_arrive_expect(std::uint32_t barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

// Waits until the phase of this parity has completed; a fresh barrier counts as having completed phase 1.
__device__ __forceinline__ void barrier_wait(std::uint32_t barrier, std::uint32_t parity) {
  asm volatile(
      "{\n.reg .pred done;\nWAIT:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@done bra FINISHED;\nbra WAIT;\nFINISHED:\n}"
      ::"r"(barrier), "r"(parity) : "memory");
}

// Ordinary stores to shared memory before this fence are seen by wgmma and the copy engine after the next barrier.
__device__ __forceinline__ void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Programmatic dependent launch: the next kernel may start once all thread blocks have said so; what this one writes it sees after its wait.
__device__ __forceinline__ void launch_dependents() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
__device__ __forceinline__ void wait_for_dependencies() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

__device__ __forceinline__ float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ float minus_infinity() { return __int_as_float(0xff800000); }

// A zero that the compiler may not hoist out of a rarely taken branch.
__device__ __forceinline__ void zero_here(std::uint32_t& x) { asm volatile("mov.b32 %0, 0;" : "=r"(x)); }
__device__ __forceinline__ void zero_here(float& x) { asm volatile("mov.b32 %0, 0f00000000;" : "=f"(x)); }

// What a rarely taken branch computes from x stays in it: the compiler may not prepare it outside and keep registers for it.
__device__ __forceinline__ int known_here(int x) {
  asm volatile("" : "+r"(x));
  return x;
}

// Tells the compiler that all lanes have the same value, so that descriptors and loops are computed in uniform registers.
__device__ __forceinline__ int uniform(int x) { return __shfl_sync(~0u, x, 0); }

}  // namespace fovea::kernels::ptx
