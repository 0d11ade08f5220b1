// How large a model is that a config describes, before anything of it is there. No torch.
#pragma once

#include "core/model/config.h"

namespace fovea {

// Numbers in its weights. A double: a config may promise more than fits into an integer.
double parameter_count(const ModelConfig& config);

}  // namespace fovea
