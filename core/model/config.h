// config.json of a model folder: format "fovea-model/1" (docs/model-format.md). No torch.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace fovea {

// Attention of one layer: dense, or a window (height, width; odd) of grid tokens plus all global tokens.
struct LayerAttention {
  bool dense = false;
  std::array<std::int64_t, 2> window{17, 17};
  std::vector<std::int64_t> dilation{1};        // one entry, or one a head
  bool operator==(const LayerAttention&) const = default;
};

enum class Positions {
  kLearned,   // a stored grid, resized to the image's grid (Dosovitskiy et al. 2021; DINOv2)
  kRope,      // 2-D rotary embedding of queries and keys of grid tokens in every layer (Su et al. 2021; Heo et al. 2024)
};

struct EncoderConfig {
  std::int64_t width = 384, depth = 12, heads = 6, mlp_width = 1536;
  std::int64_t patch = 14;                      // pixels a side
  std::int64_t global_tokens = 1;               // the class token first, then registers
  Positions positions = Positions::kLearned;
  std::array<std::int64_t, 2> position_grid{37, 37};   // kLearned: the stored grid
  double rope_base = 100.0;                     // kRope
  double layer_norm_eps = 1e-6;
  bool layer_scale = true;
  std::vector<LayerAttention> attention;        // [depth]
  std::int64_t head_dim() const { return width / heads; }
};

// Features of some layers fused with a high-resolution convolutional stem, so that edges are those of the pixels (core/model/decoder.h).
struct DecoderConfig {
  std::vector<std::int64_t> layers{6, 12};      // 1-based: after which blocks features are taken
  std::int64_t width = 128;                     // channels at the encoder's stride
  std::int64_t stem_width = 32;                 // channels at half resolution

  bool operator==(const DecoderConfig&) const = default;
};

// Pixel sizes of a set of images in metres; equal where it has only one.
struct PixelSizes {
  double smallest = 0, largest = 0;
  bool operator==(const PixelSizes&) const = default;
};

struct Preprocessing {
  std::array<double, 3> mean{0.485, 0.456, 0.406}, deviation{0.229, 0.224, 0.225};   // of RGB / 255
  std::optional<PixelSizes> ground_sampling_distance_m;                               // of the training images
};

struct ClassInfo {
  std::string name;
  std::array<std::uint8_t, 3> colour{0, 0, 0};
};

struct ModelConfig {
  std::string name, description;
  EncoderConfig encoder;
  std::optional<DecoderConfig> decoder;         // none: a backbone only (imported models); segment refuses it
  Preprocessing preprocessing;
  std::vector<ClassInfo> classes;               // empty exactly if there is no decoder
  std::int64_t ignore_index = 255;
  nlohmann::json sources = nlohmann::json::array();    // licences of weights and data: [{what, licence, from}]
  nlohmann::json training = nlohmann::json::object();  // recipe, seed
  nlohmann::json scores = nlohmann::json::object();    // what it scored, on what
};

// Strict: unknown keys, wrong types, values out of range and a format of another version are errors that name the file and the key.
// Error{kModel}: "FOLDER/config.json: encoder.heads: 7 does not divide width 384".
ModelConfig parse_model_config(const nlohmann::json& json, const std::string& name_for_errors);
ModelConfig read_model_config(const std::filesystem::path& folder);
nlohmann::json to_json(const ModelConfig& config);

}  // namespace fovea
