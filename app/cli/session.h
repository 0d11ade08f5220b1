// What the commands that run a model have in common.
#pragma once

#include <filesystem>
#include <memory>

#include "app/cli/requests.h"
#include "core/base/torch.h"
#include "core/model/precision.h"
#include "core/model/segmentation_model.h"

namespace fovea::cli {

// Keeps torch from writing to the terminal, and sets the number of threads.
void prepare_torch(const CommonOptions& common);

// precision: "auto", "float32" or "bfloat16".
torch::Dtype choose_precision(const std::string& precision, const torch::Device& device);

}  // namespace fovea::cli
