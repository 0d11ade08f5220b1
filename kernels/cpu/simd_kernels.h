// Kernels for every CPU and dtype, computing in float32, through Highway's dispatch.
#pragma once

#include "kernels/cpu/tasks.h"

namespace fovea::kernels::cpu {

// The instruction set that was picked, as Highway calls it.
const char* simd_target_name();

// Queries that a vector holds on the machine that runs: the size of a tile.
int simd_lanes();

// Keeps one thread's multiply-add units busy for a moment. Returns how many multiply-adds of float32 that were.
double run_multiply_adds();

const TaskKernels& simd_kernels();

// delta of the slice's tokens: see TaskKernels.
void compute_delta(const AttentionBackward& parameters, const GlobalSlice& slice, float* delta);

}  // namespace fovea::kernels::cpu
