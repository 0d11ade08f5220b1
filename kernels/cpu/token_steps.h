// What token_steps_cpu.h hands to the instruction set that runs here.
#pragma once

#include "kernels/token_steps.h"

namespace fovea::kernels::cpu {

// Tokens [begin, end) of the step's.
void rotate_tokens(const PackedRotation& rotation, std::int64_t begin, std::int64_t end);
void add_and_normalise_tokens(const ResidualNorm& step, std::int64_t begin, std::int64_t end);

}  // namespace fovea::kernels::cpu
