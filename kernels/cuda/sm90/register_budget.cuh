// Registers moved from one role's warpgroup to another's (setmaxnreg). Together the roles may have what the kernel starts with, never more:
// it would wait for ever.
#pragma once

namespace fovea::kernels::sm90 {

template <int kRegisters>
__device__ __forceinline__ void raise_registers() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters)); }
template <int kRegisters>
__device__ __forceinline__ void lower_registers() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters)); }

}  // namespace fovea::kernels::sm90
