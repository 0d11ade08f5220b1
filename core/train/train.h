// Training a segmentation model from a recipe: what `fovea train` does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>

#include <nlohmann/json.hpp>

#include "core/base/progress.h"
#include "core/train/evaluate.h"
#include "core/train/training_config.h"

namespace fovea {

enum class TrainingStart {
  kCheckpoint,   // go on from output/checkpoint.safetensors if it is there
  kBeginning,    // forget an earlier run in the output folder
};

struct TrainingResult {
  std::int64_t steps = 0;
  double last_loss = 0;                      // mean over the last ten steps
  double seconds = 0;                        // of training and validation, earlier calls included
  std::optional<Evaluation> validation;      // of the averaged weights, at the end
  std::filesystem::path model;               // the trained model's folder: output/model, float16
};
nlohmann::json to_json(const TrainingResult& result);

// Writes into config.output: log.jsonl and curves.svg (core/train/training_log.h), checkpoint.safetensors, and at the end model/. Every
// random number is a function of the seed and the step, so that on the CPU a resumed run gives bit by bit the losses of an uninterrupted
// one.
//
// progress: steps, under "training". When stop is requested a checkpoint is written and Error{kCancelled} says how to go on.
// Errors: Error{kInput} for data and checkpoints, Error{kModel} for the initial model, Error{kUsage} for the recipe, and
// Error{kEnvironment} "step 37: the loss is not finite ...".
TrainingResult run_training(const TrainingConfig& config, TrainingStart start, Progress& progress, const std::stop_token& stop);

}  // namespace fovea
