#include "core/train/train.h"

#include <ATen/Parallel.h>

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "core/base/files.h"
#include "core/model/segmentation_model.h"
#include "core/train/training_log.h"
#include "tests/train/training_samples.h"

namespace fovea {
namespace {

using nlohmann::json;

// These tensors are too small to share: on a busy machine two threads wait for each other fifty times longer than one works.
class OneThread final : public testing::Environment {
  void SetUp() override { torch::set_num_threads(1); }
};
[[maybe_unused]] const auto* const one_thread = testing::AddGlobalTestEnvironment(new OneThread);

// Requests a stop once training has done so many steps.
class StopAfter final : public Progress {
 public:
  StopAfter(std::stop_source& source, std::int64_t steps) : source_(source), steps_(steps) {}
  void report(std::string_view stage, std::int64_t done, std::int64_t) override {
    if (stage == "training" && done >= steps_) source_.request_stop();
  }

 private:
  std::stop_source& source_;
  std::int64_t steps_;
};

std::vector<json> read_log(const std::filesystem::path& path, const std::string& event) {
  std::vector<json> events;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    auto value = json::parse(line);
    if (value["event"] == event) events.push_back(std::move(value));
  }
  return events;
}

TrainingResult train(const TrainingConfig& config, TrainingStart start = TrainingStart::kCheckpoint) {
  NoProgress progress;
  return run_training(config, start, progress, std::stop_token());
}

class Training : public testing::Test {
 protected:
  Training() { test::write_tiny_set(folder_.path()); }
  test::TemporaryFolder folder_;
};

TEST_F(Training, AStoppedAndResumedRunRepeatsTheLossesBitByBit) {
  auto whole = test::tiny_recipe(folder_.path());
  whole.optimiser.stochastic_depth = 0.3;   // draws from torch's generator, which must be in the same state
  auto parts = whole;
  whole.output = folder_.path() / "whole";
  parts.output = folder_.path() / "parts";
  train(whole);

  std::stop_source stop;
  StopAfter progress(stop, 3);
  const auto message = test::error_of([&] { run_training(parts, TrainingStart::kCheckpoint, progress, stop.get_token()); });
  EXPECT_EQ(message, "stopped after step 3: the same command goes on from " + (parts.output / "checkpoint.safetensors").string());
  EXPECT_FALSE(std::filesystem::exists(parts.output / "model"));
  train(parts);

  const auto expected = read_log(whole.output / "log.jsonl", "step"), resumed = read_log(parts.output / "log.jsonl", "step");
  ASSERT_EQ(expected.size(), 6u);
  ASSERT_EQ(resumed.size(), 6u);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    for (const auto key : {"step", "loss", "grad_norm", "rate_factor"}) EXPECT_EQ(resumed[i][key], expected[i][key]) << key << " " << i;
  }
  EXPECT_EQ(read_text_file(whole.output / "model" / "model.safetensors"), read_text_file(parts.output / "model" / "model.safetensors"));
}

TEST_F(Training, StepsAfterTheLastCheckpointAreTakenAgain) {
  auto config = test::tiny_recipe(folder_.path());
  train(config);
  const auto expected = read_text_file(config.output / "model" / "model.safetensors");
  const auto log = read_log(config.output / "log.jsonl", "step");
  // As if the machine had stopped in the middle of writing a line, after a checkpoint of an earlier step.
  auto again = config;
  again.output = folder_.path() / "again";
  std::stop_source stop;
  StopAfter progress(stop, 4);
  EXPECT_THROW(run_training(again, TrainingStart::kCheckpoint, progress, stop.get_token()), Error);
  std::ofstream(again.output / "log.jsonl", std::ios::app) << log[4].dump() << "\n{\"event\":\"st";
  train(again);
  const auto resumed = read_log(again.output / "log.jsonl", "step");
  ASSERT_EQ(resumed.size(), log.size());
  for (std::size_t i = 0; i < log.size(); ++i) EXPECT_EQ(resumed[i]["loss"], log[i]["loss"]);
  EXPECT_EQ(read_text_file(again.output / "model" / "model.safetensors"), expected);
}

TEST_F(Training, AStopDuringValidationLosesNoStep) {
  auto config = test::tiny_recipe(folder_.path());
  config.validation = config.train;
  config.validation_every = 2;
  class StopInValidation final : public Progress {
   public:
    explicit StopInValidation(std::stop_source& source) : source_(source) {}
    void report(std::string_view stage, std::int64_t, std::int64_t) override {
      if (stage == "evaluating") source_.request_stop();
    }

   private:
    std::stop_source& source_;
  };
  std::stop_source stop;
  StopInValidation progress(stop);
  const auto message = test::error_of([&] { run_training(config, TrainingStart::kCheckpoint, progress, stop.get_token()); });
  EXPECT_EQ(message.find("stopped after step 2: "), 0u) << message;
  EXPECT_EQ(train(config).steps, 6);
  EXPECT_EQ(read_log(config.output / "log.jsonl", "step").size(), 6u);
}

TEST_F(Training, LearnsASyntheticTask) {
  auto config = test::tiny_recipe(folder_.path());
  config.steps = 90;
  config.batch = 4;
  config.optimiser.backbone_rate = 3e-3;
  config.optimiser.rate = 1e-2;
  config.optimiser.warmup_steps = 5;
  config.optimiser.ema_decay = 0.9;
  config.validation = config.train;
  config.validation_every = 45;
  const auto result = train(config);
  const auto steps = read_log(config.output / "log.jsonl", "step");
  ASSERT_EQ(steps.size(), 90u);
  const double first = steps[0]["loss"].get<double>();
  EXPECT_NEAR(first, std::log(2.0), 0.35) << "an untrained model knows nothing about two classes";
  EXPECT_LT(result.last_loss, first / 3);
  ASSERT_TRUE(result.validation);
  EXPECT_GT(result.validation->confusion.mean_iou(), 0.85);
  EXPECT_EQ(read_log(config.output / "log.jsonl", "validation").size(), 2u);

  // What was saved scores what was reported: the average was saved, in float16.
  NoProgress progress;
  const EvaluationRequest request{.model = result.model, .data = config.validation, .device = "cpu", .precision = "float32", .tiling = {}};
  const auto saved = evaluate(request, progress, std::stop_token());
  EXPECT_NEAR(saved.confusion.mean_iou(), result.validation->confusion.mean_iou(), 0.01);
  const auto model = load_model(result.model);
  EXPECT_EQ(model->config().training["recipe"]["steps"], 90);
  EXPECT_TRUE(model->config().scores["validation"].contains("mean_iou"));
  const auto svg = read_text_file(config.output / "curves.svg");
  EXPECT_NE(svg.find("<polyline"), std::string::npos);
  EXPECT_NE(svg.find("<circle"), std::string::npos);
}

TEST_F(Training, GoesOnFromATrainedModelAndFromABackbone) {
  auto first = test::tiny_recipe(folder_.path());
  first.steps = 2;
  const auto trained = train(first);
  auto second = first;
  second.output = folder_.path() / "second";
  second.initial_model = trained.model.string();
  second.model = nullptr;
  EXPECT_EQ(train(second).steps, 2);
  second.output = folder_.path() / "third";
  second.model = {{"name", "other classes"}, {"classes", {{{"name", "a"}, {"colour", {0, 0, 0}}}, {{"name", "b"}, {"colour", {1, 1, 1}}},
                                                          {{"name", "c"}, {"colour", {2, 2, 2}}}}}};
  const auto other = load_model(train(second).model);
  EXPECT_EQ(other->config().classes.size(), 3u);
}

TEST_F(Training, ACheckpointOfAnotherRecipeIsRefusedOrForgotten) {
  auto config = test::tiny_recipe(folder_.path());
  config.steps = 2;
  train(config);
  config.optimiser.rate = 5e-3;
  const auto checkpoint = (config.output / "checkpoint.safetensors").string();
  EXPECT_EQ(test::error_of([&] { train(config); }),
            checkpoint + ": was made with optimiser/rate 0.001, the recipe says 0.005: start from the beginning "
                         "(fovea train --restart), or in another output folder");
  EXPECT_EQ(train(config, TrainingStart::kBeginning).steps, 2);
  EXPECT_EQ(read_log(config.output / "log.jsonl", "step").size(), 2u);
  write_file_atomically(checkpoint, "not a checkpoint");
  EXPECT_EQ(test::error_of([&] { train(config); }).find(checkpoint), 0u);
}

TEST_F(Training, ALossThatIsNotFiniteStopsTheRunAndSparesTheCheckpoint) {
  auto config = test::tiny_recipe(folder_.path());
  config.optimiser.backbone_rate = config.optimiser.rate = 1;
  config.optimiser.clip_norm = 0;
  config.optimiser.warmup_steps = 0;
  config.steps = 400;
  config.checkpoint_every = 1;
  // A weight near float32's end: the first step's loss overflows.
  SegmentationModel model(test::tiny_model());
  {
    torch::NoGradGuard no_grad;
    model.named_parameters()["decoder.head.weight"].fill_(std::numeric_limits<float>::max());
  }
  save_model(model, folder_.path() / "broken", torch::kFloat32);
  config.initial_model = (folder_.path() / "broken").string();
  config.model = nullptr;
  const auto message = test::error_of([&] { train(config); });
  EXPECT_EQ(message.find("step 1: the loss is "), 0u) << message;
  EXPECT_NE(message.find("not finite"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(config.output / "checkpoint.safetensors"));
}

TEST_F(Training, RegionsWithoutLabelsAreRefused) {
  auto config = test::tiny_recipe(folder_.path());
  config.train[0].only = {"a"};
  config.train[0].regions["a"] = {0, 0, 2.0 / 64, 1};   // inside the unlabelled strip
  EXPECT_EQ(test::error_of([&] { train(config); }), config.train[0].path.string() + ": no labelled pixel in the regions to train on");
}

TEST(Evaluate, TilesDoNotChangeTheLabelsOfALocalModel) {
  // Window 3 in two layers reaches 2 tokens, the decoder some more: a margin of 64 pixels lets tiles see what the whole image shows.
  const test::TemporaryFolder folder;
  torch::manual_seed(11);
  test::write_packed(folder.path() / "set.safetensors", {{"a", test::disc_scene(200, 264, 130)}});
  auto config = test::tiny_model();
  config.encoder.global_tokens = 0;   // global tokens see the whole tile, and would tell tiles apart
  SegmentationModel model(config);
  NoProgress progress;
  const TrainingSet set({{folder.path() / "set.safetensors", {}, {}}}, {2, 255}, progress, std::stop_token());
  const auto whole = evaluate(model, set, {.tile = 1024, .margin = 128}, progress, std::stop_token());
  const auto tiles = evaluate(model, set, {.tile = 168, .margin = 64}, progress, std::stop_token());
  EXPECT_EQ(whole.tiles, 1);
  EXPECT_GT(tiles.tiles, 12);
  // Summation order may differ where two logits tie; no more.
  std::int64_t difference = 0;
  for (std::int64_t t = 0; t < 2; ++t) {
    for (std::int64_t p = 0; p < 2; ++p) difference += std::abs(whole.confusion.pixels(t, p) - tiles.confusion.pixels(t, p));
  }
  EXPECT_LE(difference, 4);
  const auto some = evaluate(model, set, {.tile = 168, .margin = 64, .max_tiles = 5}, progress, std::stop_token());
  EXPECT_EQ(some.tiles, 5);
  EXPECT_EQ(some.tiles_planned, tiles.tiles);
  EXPECT_LT(some.confusion.total(), tiles.confusion.total());
}

TEST(TrainingLog, RefusesALineThatIsNone) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "log.jsonl";
  std::ofstream(path) << "{\"event\":\"step\",\"step\":1}\nhello\n{\"event\":\"step\",\"step\":2}\n";
  EXPECT_EQ(test::error_of([&] { TrainingLog(path, 5); }), path.string() + ": line 2: not a line of a training log");
  EXPECT_TRUE(TrainingLog(path, 0).events().empty()) << "a new run starts a new log";
}

}  // namespace
}  // namespace fovea
