// What the model tests share: golden data, small models, error measures whose bounds follow from the arithmetic.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <string>

#include "core/base/error.h"
#include "core/base/torch.h"
#include "core/model/config.h"
#include "core/model/segmentation_model.h"
#include "core/model/weights.h"
#include "tests/support/comparator.h"
#include "tests/support/temporary_folder.h"

namespace fovea::test {

inline std::filesystem::path data_folder() { return FOVEA_MODEL_TEST_DATA; }

inline std::map<std::string, torch::Tensor> read_all(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& entry : file.entries()) tensors.emplace(entry.name, read_tensor(file, entry));
  return tensors;
}

// |a - b| / |b| in the Frobenius norm, in float64. NaN where a value is missing or not a number, and NaN is below no bound.
inline double relative_error(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::quiet_NaN();
  const auto wide = b.to(torch::kFloat64);
  return ((a.to(torch::kFloat64) - wide).norm() / wide.norm()).item<double>();
}

// Roundings on the way through an encoder, a sum of `width` products counted as the root of its length: 8 links a block (qkv, scores,
// softmax, values, out, fc1, fc2, residual sums).
inline double rounding_steps(const EncoderConfig& encoder) {
  return std::sqrt(static_cast<double>(encoder.width)) * 8 * static_cast<double>(encoder.depth);
}

// Two layers: dense, then windowed with a dilation a head.
inline EncoderConfig small_encoder(Positions positions, std::int64_t patch = 8) {
  EncoderConfig encoder{.width = 32, .depth = 2, .heads = 2, .mlp_width = 48, .patch = patch, .global_tokens = 3, .positions = positions,
                        .position_grid = {5, 4}, .attention = {}};
  encoder.attention = {LayerAttention{.dense = true, .window = {1, 1}, .dilation = {1}},
                       LayerAttention{.dense = false, .window = {3, 5}, .dilation = {1, 2}}};
  return encoder;
}

inline ModelConfig small_model(Positions positions, std::int64_t patch = 8) {
  ModelConfig config;
  config.name = "small";
  config.description = "for tests";
  config.encoder = small_encoder(positions, patch);
  config.decoder = DecoderConfig{.layers = {1, 2}, .width = 16, .stem_width = 8};
  config.classes = {{.name = "a", .colour = {1, 2, 3}}, {.name = "b", .colour = {4, 5, 6}}, {.name = "c", .colour = {7, 8, 9}}};
  return config;
}

// Every parameter random, also those that a fresh model starts with at zero, so that no path is silent.
inline void randomise(torch::nn::Module& module) {
  torch::NoGradGuard no_grad;
  for (auto& item : module.named_parameters()) {
    auto parameter = item.value();
    const double fan_in = parameter.dim() > 1 ? static_cast<double>(parameter[0].numel()) : 1;
    parameter.normal_(0, parameter.dim() > 1 ? 1 / std::sqrt(fan_in) : 0.3);
    const bool scales_a_norm = item.key().find("norm") != std::string::npos && item.key().ends_with("weight");
    if (scales_a_norm) parameter.add_(1);
  }
}

// The message of the Error that the call throws; fails the test if it throws none or another kind.
template <typename Call>
std::string error_message(ErrorKind kind, Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return {};
}

}  // namespace fovea::test
