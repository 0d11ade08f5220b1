// A vision transformer encoder and a decoder that together label every pixel.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "core/base/torch.h"
#include "core/model/config.h"
#include "core/model/decoder.h"
#include "core/model/encoder.h"

namespace fovea {

enum class Initialisation { kRandom, kNone };   // kNone: for weights that are about to be overwritten

// Parameters live under "encoder." and "decoder.", named as in model.safetensors. float32 on the CPU at first.
class SegmentationModel : public torch::nn::Module {
 public:
  explicit SegmentationModel(const ModelConfig& config, Initialisation initialisation = Initialisation::kRandom);

  // images: [B, 3, H, W] uint8 (or float in 0 ... 255), RGB, any H, W >= 1. Returns logits [B, classes, H, W] float32. Normalises, pads
  // right and bottom by repeating the edge to a multiple of the patch, and crops the result. Needs a decoder.
  torch::Tensor forward(const torch::Tensor& images);

  // RGB 0 ... 255 -> normalised, in the dtype and on the device of the weights, padded: [B, 3, H', W'].
  torch::Tensor preprocess(const torch::Tensor& images) const;

  torch::Dtype dtype() const;
  torch::Device device() const;

  const ModelConfig& config() const { return config_; }
  Encoder& encoder() { return *encoder_; }
  Decoder* decoder() { return decoder_.get(); }             // nullptr for a backbone

 private:
  ModelConfig config_;
  std::shared_ptr<Encoder> encoder_;
  std::shared_ptr<Decoder> decoder_;
};

// Reads FOLDER/config.json and FOLDER/model.safetensors, checks that every tensor that the config implies is there with its shape and
// dtype (float32, float16 or bfloat16), that there are no others and that all values are finite, and returns it in eval mode.
// Error{kModel}: "FOLDER/model.safetensors: encoder.blocks.3.attention.qkv.weight: shape [384, 384], expected [1152, 384]".
std::shared_ptr<SegmentationModel> load_model(const std::filesystem::path& folder, torch::Device device = torch::kCPU,
                                              torch::Dtype dtype = torch::kFloat32);

// A new model of this config that starts with the encoder of another, and with its decoder where decoder and names of classes agree (else
// the decoder is random): how training starts. Apart from drop-in freedoms (attention windows, rotary base) the encoders must agree.
// Error{kModel} names the tensor that does not fit.
std::shared_ptr<SegmentationModel> start_from(const ModelConfig& config, SegmentationModel& initial);

// Writes both files atomically; weights in weight_dtype (float16 for shipped models). Creates the folder.
void save_model(SegmentationModel& model, const std::filesystem::path& folder, torch::Dtype weight_dtype);

// Hex SHA-256 over config.json and model.safetensors: what summary.json and journals record.
std::string model_hash(const std::filesystem::path& folder);

}  // namespace fovea
