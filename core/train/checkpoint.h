// The whole state of a training run in one file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "core/train/optimiser.h"

namespace fovea {

// What is about the run rather than in its tensors. Random numbers need no state (core/train/random_stream.h).
struct CheckpointInfo {
  std::int64_t steps_done = 0;
  double seconds = 0;              // of training so far
  nlohmann::json recipe;           // comparable_recipe() of the run
};

// The part of a recipe that decides the losses: without output, device, and when to validate or save.
nlohmann::json comparable_recipe(const TrainingConfig& config);

// Written atomically as safetensors: "weights.NAME", the optimiser's moments, "average.NAME"; the info as metadata.
void save_checkpoint(const std::filesystem::path& path, const NamedTensors& tensors, const CheckpointInfo& info);

struct Checkpoint {
  NamedTensors tensors;            // CPU
  CheckpointInfo info;
};

// `expected` names every tensor with its shape. Errors: Error{kInput} "FILE: TENSOR: is missing", "FILE: was made with optimiser/rate
// 0.001, the recipe says 0.01".
Checkpoint load_checkpoint(const std::filesystem::path& path, const NamedTensors& expected, const nlohmann::json& recipe);

}  // namespace fovea
