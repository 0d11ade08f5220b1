// Kernels for bfloat16 that multiply it as it is, in strips.
#pragma once

#include "kernels/cpu/bfloat16/products.h"
#include "kernels/cpu/tasks.h"

namespace fovea::kernels::cpu::bfloat16 {

// nullptr if they are not in this build; to be run where chosen_products() is not kWidened.
const TaskKernels* kernels();

}  // namespace fovea::kernels::cpu::bfloat16
