// In which arithmetic a model runs where nobody asked for another.
#pragma once

#include "core/base/torch.h"

namespace fovea {

// bfloat16 on GPUs and on CPUs that multiply it (AVX512-BF16), else float32.
torch::Dtype usual_precision(torch::Device device);

// "bfloat16" or "float32", as people ask for it and as records name it.
const char* precision_name(torch::Dtype dtype);

}  // namespace fovea
