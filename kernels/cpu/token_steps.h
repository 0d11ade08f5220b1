// What token_steps_cpu.h hands to the instruction set that runs here.
#pragma once

#include <cstddef>

#include "kernels/token_steps.h"

namespace fovea::kernels::cpu {

// Tokens [begin, end) of the step's.
void rotate_tokens(const PackedRotation& rotation, std::int64_t begin, std::int64_t end);
void add_and_normalise_tokens(const ResidualNorm& step, std::int64_t begin, std::int64_t end);

// A slice of the keys, a head, and as many queries as a vector has lanes.
struct GlobalSliceTask {
  std::int64_t slice = 0;
  int head = 0, first_query = 0;
};
std::size_t global_slice_memory(const GlobalSlices& part);   // in floats
void attend_from_globals(const GlobalSlices& part, const GlobalSliceTask& task, float* memory);

}  // namespace fovea::kernels::cpu
