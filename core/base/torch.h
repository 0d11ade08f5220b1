// What this project uses of libtorch: tensors, gradient modes, modules. Precompiled once for all torch targets
// (target_precompile_headers(... REUSE_FROM fovea_torch_base)). The whole <torch/torch.h> would add 8 s of compilation to every file, even
// precompiled, for what its templates instantiate.
#pragma once

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/grad_mode.h>
#include <torch/nn/module.h>
#include <torch/types.h>
