// The engine against direct calls of the analysis library.
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <filesystem>

#include "app/viewer/explore/torch_engine.h"
#include "core/attention/analysis/kept_mass.h"
#include "core/attention/analysis/rollout.h"
#include "core/attention/analysis/rows.h"
#include "core/base/device_error.h"
#include "core/image/writers.h"
#include "tests/segment/segment_test_support.h"
#include "tests/support/temporary_folder.h"

namespace fovea::explore {
namespace {

using fovea::test::CollectingSink;
using fovea::test::MemorySource;

class TorchEngineTest : public testing::Test {
 protected:
  TorchEngineTest() { write_png(path, test::sample_image(200, 150)); }

  Encoded encode(std::optional<Rect> region = {}, Margin margin = Margin::kAuto) {
    return engine.encode({.image = path, .model = "given", .region_level0 = region, .margin = margin}, progress, {});
  }
  static torch::Tensor tensor(const ImageF32& plane) {
    return torch::from_blob(const_cast<float*>(plane.samples().data()), {plane.height(), plane.width()}).clone();
  }
  // On the whole grid.
  static torch::Tensor dense(const Reply& reply, std::int64_t rows = 19, std::int64_t columns = 25) {
    auto all = torch::zeros({rows, columns});
    all.narrow(0, reply.place.row, reply.place.rows).narrow(1, reply.place.column, reply.place.columns).copy_(tensor(reply.plane));
    return all;
  }
  Reply ask(Question question) { return engine.answer(question, progress, {}); }

  test::TemporaryFolder folder;
  std::filesystem::path path = folder / "waves.png";
  std::shared_ptr<SegmentationModel> model = test::small_model({.global_tokens = 2});
  TorchEngine engine{model};
  NoProgress progress;
};

TEST_F(TorchEngineTest, AnswersAreThoseOfTheLibrary) {
  const Encoded encoded = encode();
  EXPECT_EQ(encoded.rows, 19);
  EXPECT_EQ(encoded.columns, 25);
  EXPECT_EQ(encoded.caveat, "");
  const auto& layer = engine.probe()->layer(1);
  const auto token = analysis::token_map(layer, 7, 9);
  const Selection at{.box = TokenBox{7, 9, 1, 1}};
  const analysis::HeadChoice second{analysis::HeadFusion::kOne, 1};

  const Reply row = ask({.method = "row", .tokens = at, .layer = 1, .heads = {Fusion::kOne, 1}});
  EXPECT_TRUE(torch::equal(dense(row), analysis::row(layer, token, second).dense()));
  EXPECT_EQ(row.place, (TokenBox{5, 7, 5, 5}));
  EXPECT_NEAR(row.grid_total + row.global_total, 1, 1e-6);
  ASSERT_EQ(row.globals.size(), 2u);
  EXPECT_NEAR(row.globals[0] + row.globals[1], row.global_total, 1e-6);

  const Reply column = ask({.method = "column", .tokens = at, .layer = 1, .heads = {Fusion::kMax}});
  EXPECT_TRUE(torch::equal(dense(column), analysis::column(layer, token, {analysis::HeadFusion::kMax}).dense()));

  const Reply rollout = ask({.method = "rollout", .tokens = at});
  const auto expected = analysis::rollout(engine.probe()->stack_of_kept({}), token, {});
  EXPECT_TRUE(torch::equal(dense(rollout), expected.dense()));
  ASSERT_EQ(rollout.contours.size(), 2u);
  const auto field = analysis::receptive_field(expected);
  EXPECT_EQ(rollout.contours[1].threshold, field.contours[1].threshold);
  EXPECT_EQ(rollout.contours[0].share, 0.5);

  const Reply global = ask({.method = "row", .tokens = {.global_token = 1}, .layer = 1});
  EXPECT_TRUE(torch::equal(dense(global), analysis::row(layer, analysis::global_map(layer, 1), {}).dense()));

  const Reply brush = ask({.method = "row", .tokens = {.brush = {{3, 4, 1}, {3, 5, 0.5}}}, .layer = 1});
  EXPECT_TRUE(torch::equal(dense(brush), analysis::row(layer, analysis::brush_map(layer, {{3, 4, 1}, {3, 5, 0.5}}), {}).dense()));
}

TEST_F(TorchEngineTest, OtherWindowsAreTheSameQueriesAndKeys) {
  encode();
  const Selection at{.box = TokenBox{7, 9, 1, 1}};
  const Question own{.method = "row", .tokens = at, .layer = 2}, five{.method = "row", .tokens = at, .layer = 2, .window = 5},
      all_keys{.method = "row", .tokens = at, .layer = 2, .window = 0};
  EXPECT_TRUE(torch::equal(dense(ask(own)), dense(ask(five))));   // the model's window is 5 x 5
  const auto everywhere = ask(all_keys);
  EXPECT_EQ((tensor(everywhere.plane) > 0).sum().item<std::int64_t>(), 19 * 25);
  EXPECT_NEAR(everywhere.grid_total + everywhere.global_total, 1, 1e-6);
}

TEST_F(TorchEngineTest, KeptMassOfASmallGridIsTheLibrarys) {
  encode();
  const auto reply = ask({.method = "kept-mass", .tokens = {.box = TokenBox{1, 1, 1, 1}}, .layer = 0, .window = 3});
  EXPECT_EQ(reply.place, (TokenBox{0, 0, 19, 25}));
  const auto kept = analysis::kept_mass(engine.probe()->layer(0)).at(1, 2).mean(0);
  EXPECT_LE((tensor(reply.plane) - kept).abs().max().item<double>(), 1e-6);   // a mean over heads, summed in another order
}

TEST_F(TorchEngineTest, StatisticsComeByHead) {
  encode();
  const auto reply = ask({.method = "entropy", .layer = 0});
  ASSERT_EQ(reply.entropy_by_head.size(), 2u);
  EXPECT_GT(reply.entropy_by_head[0], 0);
  EXPECT_LE(reply.entropy_by_head[0], 1);
  ASSERT_EQ(reply.distance_by_head_pixels.size(), 2u);
  EXPECT_GT(reply.distance_by_head_pixels[1], 0);
  EXPECT_TRUE(ask({.method = "norms", .layer = 0}).outlier_threshold.has_value());
  EXPECT_EQ(ask({.method = "pca", .layer = 0}).colours.width(), 25);
}

TEST_F(TorchEngineTest, ARegionIsExactWithItsFullMarginAndSaysSoOtherwise) {
  model = test::small_model({.global_tokens = 0, .window = 3});
  engine = TorchEngine(model);
  const Encoded part = encode(Rect{80, 64, 40, 24});
  EXPECT_EQ(part.computed, (Rect{56, 40, 88, 72}));   // three layers, one token each
  EXPECT_EQ(part.caveat, "");
  const Reply near = ask({.method = "row", .tokens = {.box = TokenBox{4, 4, 1, 1}}});
  EXPECT_EQ(near.place, (TokenBox{3, 3, 3, 3}));
  encode();
  const Reply whole = ask({.method = "row", .tokens = {.box = TokenBox{9, 11, 1, 1}}});
  EXPECT_LE((tensor(near.plane) - tensor(whole.plane)).abs().max().item<double>(), 1e-5);   // two runs of an encoder in float32
  EXPECT_GT(tensor(near.plane).max().item<double>(), 0.05);

  engine = TorchEngine(test::small_model({.global_tokens = 2, .window = 3}));
  EXPECT_EQ(encode(Rect{80, 64, 40, 24}).caveat, "global tokens saw the region and its halo alone");
}

TEST_F(TorchEngineTest, ErrorsAreSentences) {
  const auto message = [&](const std::function<void()>& action) -> std::string {
    try { action(); } catch (const Error& error) { return error.what(); }
    return "";
  };
  EXPECT_EQ(message([&] { ask({}); }), "nothing is encoded yet: press Encode first");
  EXPECT_NE(message([&] { engine.encode({.image = folder / "none.png", .model = "given"}, progress, {}); }).find("none.png"),
            std::string::npos);
  EXPECT_NE(message([&] { engine.encode({.image = path, .model = "no-such-model"}, progress, {}); }).find("no-such-model"),
            std::string::npos);
  engine.load("given", "auto");
}

TEST_F(TorchEngineTest, AStopEndsAnEncoding) {
  std::stop_source stop;
  stop.request_stop();
  try {
    engine.encode({.image = path, .model = "given"}, progress, stop.get_token());
    FAIL() << "not stopped";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCancelled);
  }
  EXPECT_EQ(engine.probe(), nullptr);
}

// Stops when a stage has got so far, and counts what is still reported.
class StopsAt final : public Progress {
 public:
  StopsAt(std::string stage, std::int64_t done) : stage_(std::move(stage)), done_(done) {}
  void report(std::string_view stage, std::int64_t done, std::int64_t) override {
    if (source.stop_requested()) ++later;
    if (stage == stage_ && done == done_) source.request_stop();
  }
  std::stop_source source;
  int later = 0;

 private:
  std::string stage_;
  std::int64_t done_;
};

// The last layer would be followed by the report of its end.
TEST_F(TorchEngineTest, AStopEndsALayerUnderWay) {
  StopsAt last_layer("encoder", 2);
  EXPECT_THROW(engine.encode({.image = path, .model = "given"}, last_layer, last_layer.source.get_token()), Error);
  EXPECT_EQ(last_layer.later, 0);
  StopsAt rollouts("rollouts", 2);
  EXPECT_THROW(engine.encode({.image = path, .model = "given"}, rollouts, rollouts.source.get_token()), Error);
  encode();   // what was stopped left nothing behind
  StopsAt last_step("rollout", 2);
  const Question rollout{.method = "rollout", .tokens = {.box = TokenBox{7, 9, 1, 1}}, .heads = {Fusion::kOne, 1}};
  EXPECT_THROW(engine.answer(rollout, last_step, last_step.source.get_token()), Error);
  EXPECT_EQ(last_step.later, 0);
  EXPECT_NEAR(ask(rollout).grid_total + ask(rollout).global_total, 1, 1e-5);
}

TEST_F(TorchEngineTest, RolloutsAreKeptForEveryHeadAndTheLatestOtherChoice) {
  encode();
  const Selection at{.box = TokenBox{7, 9, 1, 1}};
  const auto kept = [&](const analysis::HeadChoice& heads) { return engine.probe()->rollouts().holds(0, heads); };
  const analysis::HeadChoice maximum{analysis::HeadFusion::kMax}, minimum{analysis::HeadFusion::kMin};
  EXPECT_TRUE(kept({}));
  for (std::int64_t head = 0; head < model->config().encoder.heads; ++head) EXPECT_TRUE(kept({analysis::HeadFusion::kOne, head}));
  EXPECT_FALSE(kept(maximum) || kept(minimum));
  const Question rollout{.method = "rollout", .tokens = at, .heads = {Fusion::kMax}};
  const auto before = dense(ask(rollout));   // made of the heads
  ask({.method = "prepare", .heads = {Fusion::kMax}});
  EXPECT_TRUE(kept(maximum));
  EXPECT_TRUE(torch::equal(dense(ask(rollout)), before));
  ask({.method = "prepare", .heads = {Fusion::kMin}});
  EXPECT_TRUE(kept({}) && kept(minimum));
  EXPECT_FALSE(kept(maximum));
}

// What is saved is computed from queries and keys, as `fovea attend` does; what was kept stays.
TEST_F(TorchEngineTest, RolloutsAsAttendReadNothingKept) {
  encode();
  for (const HeadSelection& heads : {HeadSelection{}, HeadSelection{Fusion::kOne, 1}, HeadSelection{Fusion::kMax}}) {
    const Question quick{.method = "rollout", .tokens = {.box = TokenBox{7, 9, 1, 1}}, .heads = heads};
    Question exact = quick;
    exact.rounding = Rounding::kAsAttend;
    const auto seen = dense(ask(quick)), saved = dense(ask(exact));
    const auto bytes = engine.probe()->rollouts().bytes();
    analysis::Query query = to_query(exact);
    query.from_kept = false;
    EXPECT_TRUE(torch::equal(saved, analysis::answer(*engine.probe(), query, progress, {}).plane));
    EXPECT_FALSE(torch::equal(saved, seen));
    EXPECT_LE((seen - saved).abs().sum().item<double>(), 1e-3);   // of a mass of one
    EXPECT_EQ(engine.probe()->rollouts().bytes(), bytes);
  }
}

// By type, whatever their words are: a failed call of our kernels is the GPU's, memory that is missing there is a shortage.
TEST(DeviceErrors, AreToldApartByType) {
  const auto trouble_of = [](const auto& error) {
    Trouble trouble = Trouble::kNone;
    EXPECT_THROW(with_device_errors("encode", trouble, [&] { throw error; }), Error);
    return trouble;
  };
  EXPECT_EQ(trouble_of(DeviceError(DeviceError::Cause::kMemory, "a kernel")), Trouble::kDeviceMemory);
  EXPECT_EQ(trouble_of(Error(ErrorKind::kInput, "CUDA error.tif: not an image")), Trouble::kNone);
  const Trouble other = trouble_of(DeviceError(DeviceError::Cause::kOther, "a kernel"));   // a GPU that answers has only refused
  EXPECT_EQ(other, torch::cuda::is_available() ? Trouble::kNone : Trouble::kDeviceLost);
}

TEST_F(TorchEngineTest, SegmentsAsThePipelineDoes) {
  MemorySource source(test::sample_image(200, 150));
  CollectingSink sink;
  segment_image(source, *model, {}, sink, progress, {});
  std::vector<std::uint8_t> labels;
  const auto append = [&](const ImageU8& rows) { labels.insert(labels.end(), rows.samples().begin(), rows.samples().end()); };
  const auto summary = engine.segment({.image = path, .model = "given"}, append, progress, {});
  EXPECT_TRUE(torch::equal(torch::tensor(at::ArrayRef<std::uint8_t>(labels), torch::kUInt8).view({150, 200}), sink.labels()));
  std::vector<std::int64_t> counted(model->config().classes.size(), 0);
  for (const std::uint8_t label : labels) ++counted.at(label);
  EXPECT_EQ(summary.class_pixels, counted);
  EXPECT_EQ(summary.area, (Rect{0, 0, 200, 150}));
  labels.clear();
  const auto part = engine.segment({.image = path, .model = "given", .region_level0 = Rect{-10, 20, 74, 40}}, append, progress, {});
  EXPECT_EQ(part.area, (Rect{0, 20, 64, 40}));
  EXPECT_EQ(labels.size(), 64u * 40u);
}

}  // namespace
}  // namespace fovea::explore
