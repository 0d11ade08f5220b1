// The recipe of a training run: format "fovea-training/1" (docs/training.md). No torch.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/model/config.h"

namespace fovea {

// A part of an image, as fractions of its width and height: left, top, right, bottom. The default is all of it.
struct Region {
  double left = 0, top = 0, right = 1, bottom = 1;
  bool operator==(const Region&) const = default;
};

// Labelled images: a folder of X.jpg|png|tif with X_mask.png, or a packed file NAME.safetensors (core/train/training_set.h).
struct DataSource {
  std::filesystem::path path;
  std::vector<std::string> only{};             // names (X) to take; empty: all
  std::map<std::string, Region> regions{};     // by name; images without an entry are used whole
  double weight = 1;                           // crops for its area, relative to sources of weight 1; > 0
};

// Ranges of the random changes to a crop (core/train/augmentation.h). Zero, or a scale of {1, 1}, switches one off.
struct AugmentationConfig {
  std::array<double, 2> scale{0.6, 1.8};       // magnification, log-uniform
  bool flips = true, quarter_turns = true;
  double brightness = 0.15;                    // +- fraction of the full range, added
  double contrast = 0.25, saturation = 0.25;   // +- fraction
  double channel_gain = 0.08;                  // +- fraction, each of red, green, blue by itself
  double swap_red_blue = 0;                    // chance that red and blue change places: for images whose channel order cannot be relied on
};

struct OptimiserConfig {
  double backbone_rate = 1.2e-4;               // learning rate of the encoder's last layers
  double rate = 1e-3;                          // of the rest: the decoder
  double layer_decay = 1;                      // factor on the rate from an encoder layer to the one below it
  double weight_decay = 0.05;                  // none for norms, biases, LayerScale, tokens and positions
  std::array<double, 2> betas{0.9, 0.999};
  std::int64_t warmup_steps = 60;              // linear from 0
  double final_rate = 0.01;                    // fraction of the peak rate that the cosine ends at
  double clip_norm = 1;                        // of all gradients together; 0: no clipping
  double ema_decay = 0.997;                    // of the averaged weights that are validated and saved; 0: no averaging
  double stochastic_depth = 0.1;               // chance that the last block is left out, growing linearly from 0 at the first
};

struct LossConfig {
  double label_smoothing = 0;
  bool balanced = false;                       // weights 1/sqrt(share of the training pixels), mean 1 over the pixels
  std::vector<double> class_weights;           // [classes], instead of balanced; empty: all 1
  double jaccard_weight = 0;                   // share of the soft Jaccard loss in the sum; the rest is cross-entropy
};

struct TrainingConfig {
  std::filesystem::path output;                // folder: model/, checkpoint.safetensors, log.jsonl, curves.svg
  std::string initial_model;                   // model folder (or a name, core/base/model_folder.h) to start from; empty: random weights
  nlohmann::json model;                        // keys of a fovea-model/1 config to change in initial_model's (model_to_train); or null
  std::vector<DataSource> train, validation;   // validation may be empty
  std::int64_t crop = 512, batch = 16, steps = 1200;   // pixels a side, crops a step, steps
  std::int64_t validation_every = 200, checkpoint_every = 400;   // steps; 0: at the end only
  std::int64_t validation_tiles = 0;           // evaluate this many tiles spread over the regions; 0: all
  std::uint64_t seed = 1;
  std::string device = "auto";                 // "auto", "cpu", "cuda", "cuda:1"
  std::string precision = "bfloat16";          // of CUDA's matrix products (autocast); weights and the CPU stay float32
  double device_data_gib = 8;                  // images above this stay in host memory and travel window by window
  OptimiserConfig optimiser;
  LossConfig loss;
  AugmentationConfig augmentation;
};

// Strict: unknown keys, wrong types and values out of range are errors that name the file and the key.
// Error{kUsage}: "aerial.json: optimiser.betas: must hold two numbers from 0 to 0.99999".
TrainingConfig parse_training_config(const nlohmann::json& json, const std::string& name_for_errors);
TrainingConfig read_training_config(const std::filesystem::path& path);

// What to train. Without `model`: what initial_model is. With both: initial_model's config with the keys of `model` in place of its own
// (sources are added to its own), a decoder over the middle and the last layer if neither names one; the encoder's weights start from
// initial_model, the decoder's are random. With `model` alone it must be a whole config, and everything starts random.
// Errors: Error{kModel}, Error{kUsage}.
ModelConfig model_to_train(const TrainingConfig& config);

// The whole recipe, defaults included; what a trained model's config.json records. parse_training_config reads it back.
nlohmann::json to_json(const TrainingConfig& config);

}  // namespace fovea
