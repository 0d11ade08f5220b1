// The operator on the CPU: SIMD through Highway, instruction set chosen at run time.
#pragma once

#include "kernels/attention_params.h"

namespace fovea::kernels::cpu {

// nullptr if attention_forward can run these parameters, else the reason why not, a phrase such as "head_dim 300, at most 256".
const char* forward_unsupported(const AttentionForward& parameters);
const char* backward_unsupported(const AttentionBackward& parameters);

// Output and lse of every query; cost linear in the number of tokens. Identical results from run to run and for any number of threads.
void attention_forward(const AttentionForward& parameters, const ParallelFor& parallel_for);
void attention_backward(const AttentionBackward& parameters, const ParallelFor& parallel_for);

// For benchmarks. Pairs of a query and a key for which attention_forward computes scores in float32, over all heads and images, those
// that only fill vectors included; and multiply-adds of float32 that one thread can do in a second at best, measured now.
double executed_pairs(const AttentionShape& shape);
double peak_multiply_adds_per_second();

// Name of the instruction set that runs here, as Highway calls it ("AVX2", "AVX3_ZEN4", ...).
const char* instruction_set();

}  // namespace fovea::kernels::cpu
