#include "core/train/training_config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/model/segmentation_model.h"
#include "tests/train/training_samples.h"

namespace fovea {
namespace {

using nlohmann::json;

json minimal() {
  return {{"format", "fovea-training/1"}, {"output", "run"}, {"initial_model", "m"}, {"train", {{{"path", "data"}}}}};
}

std::string refusal(const json& value) {
  return test::error_of([&] { parse_training_config(value, "r.json"); });
}

TEST(TrainingConfig, DefaultsAreThoseOfTheHeader) {
  const auto config = parse_training_config(minimal(), "r.json");
  const TrainingConfig defaults;
  EXPECT_EQ(config.train.size(), 1u);
  EXPECT_EQ(config.crop, defaults.crop);
  EXPECT_EQ(config.optimiser.backbone_rate, defaults.optimiser.backbone_rate);
  EXPECT_EQ(config.augmentation.scale, defaults.augmentation.scale);
  EXPECT_TRUE(config.model.is_null());
}

TEST(TrainingConfig, WhatIsWrittenIsReadBack) {
  json value = minimal();
  value["model"] = {{"name", "x"}};
  value["train"][0]["only"] = {"a", "b"};
  value["train"][0]["regions"] = {{"a", {0, 0, 0.5, 1}}};
  value["train"][0]["weight"] = 6.5;
  value["validation"] = {{{"path", "other.safetensors"}}};
  value["seed"] = 77;
  value["optimiser"] = {{"layer_decay", 0.8}, {"betas", {0.8, 0.95}}};
  value["loss"] = {{"class_weights", "balanced"}, {"label_smoothing", 0.1}};
  value["augmentation"] = {{"scale", {0.5, 2}}, {"flips", false}};
  const auto config = parse_training_config(value, "r.json");
  EXPECT_EQ(config.train[0].regions.at("a").right, 0.5);
  EXPECT_EQ(config.train[0].weight, 6.5);
  EXPECT_EQ(config.seed, 77u);
  EXPECT_TRUE(config.loss.balanced);
  EXPECT_FALSE(config.augmentation.flips);
  const json written = to_json(config);
  EXPECT_EQ(to_json(parse_training_config(written, "r.json")), written);
  for (const auto& [key, ignored] : value.items()) EXPECT_TRUE(written.contains(key)) << key;
  EXPECT_EQ(written["optimiser"]["betas"], json({0.8, 0.95}));
}

TEST(TrainingConfig, EveryFaultIsNamed) {
  const auto with = [](const char* pointer, const json& value) {
    json config = minimal();
    config[json::json_pointer(pointer)] = value;
    return refusal(config);
  };
  EXPECT_EQ(refusal(json::array()), "r.json: must be an object");
  EXPECT_EQ(with("/format", "fovea-training/2"), "r.json: format: must be \"fovea-training/1\"");
  EXPECT_EQ(with("/stepps", 3), "r.json: stepps: unknown key");
  EXPECT_EQ(with("/steps", 0), "r.json: steps: must be an integer from 1 to 4294967296");
  EXPECT_EQ(with("/steps", 2.5), "r.json: steps: must be an integer from 1 to 4294967296");
  EXPECT_EQ(with("/seed", std::uint64_t{1} << 63), "r.json: seed: must be an integer from 0 to 9223372036854775807");
  EXPECT_EQ(with("/optimiser/rates", 1), "r.json: optimiser.rates: unknown key");
  EXPECT_EQ(with("/optimiser/rate", -1), "r.json: optimiser.rate: must be a number from 0.0 to 1.0");
  EXPECT_EQ(with("/optimiser/betas", {0.9}), "r.json: optimiser.betas: must hold two numbers from 0.0 to 0.99999");
  EXPECT_EQ(with("/optimiser", 3), "r.json: optimiser: must be an object");
  EXPECT_EQ(with("/augmentation/scale", {2, 1}), "r.json: augmentation.scale: must hold the smaller number first");
  EXPECT_EQ(with("/augmentation/flips", 1), "r.json: augmentation.flips: must be true or false");
  EXPECT_EQ(with("/loss/class_weights", "equal"), "r.json: loss.class_weights: must be \"none\", \"balanced\" or a list of numbers");
  EXPECT_EQ(with("/loss/class_weights", {1, -1}), "r.json: loss.class_weights: must be a number from 0.0 to 1000.0");
  EXPECT_EQ(with("/precision", "float16"), "r.json: precision: must be \"bfloat16\" or \"float32\"");
  EXPECT_EQ(with("/train", json::array()), "r.json: train: names no data");
  EXPECT_EQ(with("/train", {{{"file", "x"}}}), "r.json: train[0].file: unknown key");
  EXPECT_EQ(with("/train", {{{"only", {"x"}}}}), "r.json: train[0].path: is missing");
  EXPECT_EQ(with("/train/0/regions", {{"a", {0.5, 0, 0.5, 1}}}),
            "r.json: train[0].regions.a: must be [left, top, right, bottom], fractions from 0 to 1 with left < right and top < bottom");
  EXPECT_EQ(with("/train/0/weight", 0), "r.json: train[0].weight: must be a number from 1e-06 to 1000000.0");
  EXPECT_EQ(with("/output", ""), "r.json: output: must be a text that is not empty");
  EXPECT_EQ(with("/model", 3), "r.json: model: must be an object, as in a model's config.json");
  json without = minimal();
  without.erase("initial_model");
  EXPECT_EQ(refusal(without), "r.json: initial_model: is missing, and so is model: one of them must say what to train");
  without = minimal();
  without.erase("output");
  EXPECT_EQ(refusal(without), "r.json: output: is missing");
}

TEST(TrainingConfig, FilesThatAreNotJsonAreUsageErrors) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "r.json";
  std::ofstream(path) << "{\"format\": \"fovea-training/1\", \"format\": 1}";
  try {
    read_training_config(path);
    FAIL() << "a key that appears twice was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(std::string(error.what()).find(path.string()), 0u) << error.what();
  }
  EXPECT_THROW(read_training_config(folder.path() / "absent.json"), Error);
}

TEST(ModelToTrain, TakesTheInitialModelAndWhatTheRecipeChanges) {
  const test::TemporaryFolder folder;
  ModelConfig backbone = test::tiny_model();
  backbone.decoder.reset();
  backbone.classes.clear();
  backbone.sources = {{{"what", "weights"}}};
  backbone.scores = {{"old", 1}};
  SegmentationModel model(backbone);
  save_model(model, folder.path() / "backbone", torch::kFloat32);

  auto config = parse_training_config(minimal(), "r.json");
  config.initial_model = (folder.path() / "backbone").string();
  EXPECT_EQ(test::error_of([&] { model_to_train(config); }),
            "model tiny: has no decoder, and cannot label pixels: give its classes under model");
  config.model = {{"name", "mine"}, {"classes", {{{"name", "cell"}, {"colour", {1, 2, 3}}}}}, {"sources", {{{"what", "data"}}}}};
  const auto target = model_to_train(config);
  EXPECT_EQ(target.name, "mine");
  EXPECT_EQ(target.encoder.width, 16);
  EXPECT_EQ(target.decoder->layers, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(target.classes[0].name, "cell");
  EXPECT_EQ(target.sources.size(), 2u) << "the licence of the weights stays recorded";
  EXPECT_TRUE(target.scores.empty());
  EXPECT_FALSE(target.preprocessing.ground_sampling_distance_m) << "masks of other classes are of other images";
  config.model = {{"name", "mine"}, {"decoder", {{"layers", {1}}, {"width", 8}, {"stem_width", 4}}}, {"classes", config.model["classes"]}};
  config.model["preprocessing"] = {{"mean", {0, 0, 0}}, {"deviation", {1, 1, 1}}, {"ground_sampling_distance_m", {0.2, 0.5}}};
  EXPECT_EQ(model_to_train(config).preprocessing.ground_sampling_distance_m, (PixelSizes{0.2, 0.5}));
  config.model["clases"] = 1;
  EXPECT_NE(test::error_of([&] { model_to_train(config); }).find("clases: unknown key"), std::string::npos);
}

}  // namespace
}  // namespace fovea
