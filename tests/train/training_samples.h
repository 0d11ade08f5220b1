// Small data sets and models for the tests of training.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "core/base/error.h"
#include "core/base/torch.h"
#include "core/model/config.h"
#include "core/model/weights.h"
#include "core/train/training_config.h"
#include "tests/support/temporary_folder.h"

namespace fovea::test {

// Message of the Error that the action throws; fails the test if it throws none.
template <typename Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

// Two classes that colour tells apart: 0 blue ground, 1 orange discs; a strip on the left is unlabelled (255).
struct Scene { torch::Tensor image, mask; };
inline Scene disc_scene(std::int64_t height, std::int64_t width, std::int64_t disc_x) {
  const auto y = torch::arange(height).view({-1, 1}), x = torch::arange(width).view({1, -1});
  const auto disc = ((y - height / 2).square() + (x - disc_x).square()).lt(height * height / 9);
  auto mask = disc.to(torch::kUInt8);
  const auto colour = [&](double inside, double outside) { return torch::where(disc, inside, outside); };
  auto image = torch::stack({colour(220, 30), colour(140, 60), colour(20, 190)}, 2);
  image = (image + torch::randint(-15, 16, image.sizes())).clamp(0, 255).to(torch::kUInt8);
  mask.narrow(1, 0, 3).fill_(255);
  return {image.contiguous(), mask.contiguous()};
}

inline void write_packed(const std::filesystem::path& path, const std::map<std::string, Scene>& scenes) {
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& [name, scene] : scenes) {
    tensors[name + ".image"] = scene.image;
    tensors[name + ".mask"] = scene.mask;
  }
  write_tensors(path, tensors);
}

inline ModelConfig tiny_model() {
  ModelConfig config;
  config.name = "tiny";
  config.encoder = {.width = 16, .depth = 2, .heads = 2, .mlp_width = 32, .patch = 8, .global_tokens = 2, .positions = Positions::kRope,
                    .attention = {LayerAttention{.window = {3, 3}}, LayerAttention{.window = {3, 3}}}};
  config.decoder = DecoderConfig{.layers = {1, 2}, .width = 16, .stem_width = 8};
  config.classes = {{"ground", {0, 0, 200}}, {"disc", {220, 140, 20}}};
  return config;
}

// A recipe over FOLDER/set.safetensors (scenes "a" and "b") that writes to FOLDER/run.
inline TrainingConfig tiny_recipe(const std::filesystem::path& folder) {
  TrainingConfig config;
  config.output = folder / "run";
  config.model = to_json(tiny_model());
  config.train = {{folder / "set.safetensors", {}, {}}};
  config.crop = 32, config.batch = 2, config.steps = 6;
  config.validation_every = config.checkpoint_every = 0;
  config.device = "cpu";
  config.optimiser.warmup_steps = 2;
  return config;
}

inline void write_tiny_set(const std::filesystem::path& folder) {
  torch::manual_seed(3);
  write_packed(folder / "set.safetensors", {{"a", disc_scene(48, 64, 24)}, {"b", disc_scene(40, 56, 34)}});
}

}  // namespace fovea::test
