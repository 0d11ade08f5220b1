// token_steps.h on the CPU: SIMD through Highway, instruction set chosen at run time. Any sizes; float32, bfloat16, float16.
#pragma once

#include "kernels/token_steps.h"

namespace fovea::kernels::cpu {

void rotate_packed(const PackedRotation& rotation, const ParallelFor& parallel_for);
void add_residual_and_normalise(const ResidualNorm& step, const ParallelFor& parallel_for);
void attend_from_globals(const GlobalSlices& part, const ParallelFor& parallel_for);

}  // namespace fovea::kernels::cpu
