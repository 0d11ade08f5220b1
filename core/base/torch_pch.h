// Precompiled once for all torch targets (target_precompile_headers(... REUSE_FROM fovea_torch_base)).
#pragma once
#include <torch/torch.h>
