// From the mouse to the layer that is drawn, without a window: tools, explorer, session, engine and layers as the program joins them.
#include <gtest/gtest.h>

#include <thread>

#include "app/viewer/explore/explore_feature.h"
#include "app/viewer/explore/torch_engine.h"
#include "app/viewer/layers/heat_layer.h"
#include "core/attention/analysis/rows.h"
#include "core/image/writers.h"
#include "tests/segment/segment_test_support.h"
#include "tests/support/temporary_folder.h"

namespace fovea::explore {
namespace {

class ExploreFeatureTest : public testing::Test {
 protected:
  ExploreFeatureTest() {
    write_png(path, test::sample_image(200, 150));
    workspace.image = OpenImage{path, open_image(path)->info()};
    workspace.camera.set_canvas({400, 300});
    workspace.camera.set_image({200, 150});
    workspace.camera.jump_to_target();
  }
  ~ExploreFeatureTest() override { ImGui::DestroyContext(context); }

  void frame() {
    for (const auto& every_frame : workspace.every_frame) every_frame();
  }
  void settle() {
    frame();
    for (int i = 0; i < 30000 && feature.busy(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      frame();
    }
    ASSERT_FALSE(feature.busy());
  }
  void send(CanvasPhase phase, Point at, Point start, ImGuiKeyChord modifiers = 0) {
    workspace.tools.active().tool->handle({.phase = phase, .image = at, .start = start, .modifiers = modifiers});
  }
  void click(Point at, ImGuiKeyChord modifiers = 0) {
    for (const CanvasPhase phase : {CanvasPhase::kPress, CanvasPhase::kRelease, CanvasPhase::kClick}) send(phase, at, at, modifiers);
  }
  const HeatLayer& heat() const { return dynamic_cast<const HeatLayer&>(*workspace.layers.find(kHeatLayer)); }
  std::string error() const { return workspace.messages.last_error(); }
  // The value shown at a pixel.
  double shown(double x, double y) const {
    const std::string text = heat().describe({x, y});
    return text.empty() ? 0 : std::stod(text);
  }

  ImGuiContext* context = ImGui::CreateContext();   // key names
  test::TemporaryFolder folder;
  std::filesystem::path path = folder / "waves.png";
  std::shared_ptr<SegmentationModel> model = test::small_model({.global_tokens = 2});
  Workspace workspace{TileServices{}};
  std::int64_t most_pixels = 0;                  // that the engine takes; 0: any
  TorchEngine* engine = nullptr;
  ExploreFeature feature{workspace, [this] {
                           auto made = std::make_unique<GivenModelEngine>(model);
                           made->most_pixels = most_pixels;
                           engine = made.get();
                           return made;
                         },
                         folder / "maps"};

  // Whatever model is named: the one of this test.
  class GivenModelEngine final : public TorchEngine {
   public:
    explicit GivenModelEngine(std::shared_ptr<SegmentationModel> given) : TorchEngine(std::move(given)) {}
    Encoded encode(const EncodeRequest& request, Progress& progress, const std::stop_token& stop) override {
      EncodeRequest own = request;
      own.model = "given";
      const Rect asked = request.region_level0.value_or(Rect{0, 0, 200, 150});
      too_much = most_pixels > 0 && asked.width * asked.height > most_pixels;
      if (too_much) throw Error(ErrorKind::kEnvironment, "waves.png: takes too much memory");
      return TorchEngine::encode(own, progress, stop);
    }
    std::int64_t fitting_side() const override { return too_much ? 100 : 0; }
    std::int64_t most_pixels = 0;                // of a machine with little memory; 0: plenty
    bool too_much = false;
  };
};

TEST_F(ExploreFeatureTest, AClickShowsTheTokensRow) {
  EXPECT_TRUE(workspace.actions.run("attention.encode_view"));
  EXPECT_EQ(workspace.tools.active().id, "pick");   // the next click asks
  settle();
  ASSERT_EQ(error(), "");
  EXPECT_EQ(workspace.layers.find(kHeatLayer), nullptr);
  click({9 * 8 + 3, 7 * 8 + 5});
  settle();
  ASSERT_EQ(error(), "");
  ASSERT_NE(workspace.layers.find(kHeatLayer), nullptr);
  const auto& layer = engine->probe()->layer(2);    // the last one
  const auto row = analysis::row(layer, analysis::token_map(layer, 7, 9), {}).dense();
  EXPECT_EQ(heat().bounds(), (RectD{7 * 8, 5 * 8, 40, 40}));   // a window of 5 x 5
  for (std::int64_t y = 5; y < 10; ++y) {
    for (std::int64_t x = 7; x < 12; ++x) {
      EXPECT_NEAR(shown(static_cast<double>(8 * x) + 4, static_cast<double>(8 * y) + 4), row[y][x].item<double>(),
                  1e-4 * row.max().item<double>());
    }
  }
}

TEST_F(ExploreFeatureTest, ModifiersAskOtherQuestionsAndKeysStepThroughLayersAndHeads) {
  feature.encode_image();
  settle();
  click({76, 60}, ImGuiMod_Shift);
  settle();
  EXPECT_EQ(feature.explorer().shown()->question.method, "column");
  click({76, 60}, ImGuiMod_Ctrl);
  settle();
  EXPECT_EQ(feature.explorer().shown()->question.method, "rollout");
  EXPECT_GT(heat().raster().columns, 5);            // further than one window
  click({76, 60}, ImGuiMod_Alt);
  settle();
  EXPECT_EQ(feature.explorer().shown()->question.tokens.global_token, 0);
  EXPECT_EQ(heat().raster().columns, 25);           // a global token looks everywhere
  click({76, 60});
  EXPECT_TRUE(workspace.actions.run("attention.previous_layer"));
  EXPECT_TRUE(workspace.actions.run("attention.next_head"));
  settle();
  const auto& reply = *feature.explorer().shown();
  EXPECT_EQ(reply.question.method, "row");
  EXPECT_EQ(reply.question.layer, 1);
  EXPECT_EQ(reply.question.heads, (HeadSelection{Fusion::kOne, 0}));
  const auto& layer = engine->probe()->layer(1);
  const auto row = analysis::row(layer, analysis::token_map(layer, 7, 9), {analysis::HeadFusion::kOne, 0}).dense();
  EXPECT_NEAR(shown(76, 60), row[7][9].item<double>(), 1e-4 * row.max().item<double>());
}

TEST_F(ExploreFeatureTest, ADragShowsTheMeanOfItsTokens) {
  feature.encode_image();
  settle();
  send(CanvasPhase::kPress, {40, 40}, {40, 40});
  for (const double x : {50.0, 60.0, 70.0}) send(CanvasPhase::kDrag, {x, 55}, {40, 40});
  send(CanvasPhase::kRelease, {70, 55}, {40, 40});
  settle();
  const auto& layer = engine->probe()->layer(2);
  const auto mean = analysis::row(layer, analysis::box_map(layer, {5, 5, 2, 4}), {}).dense();
  EXPECT_EQ(heat().bounds(), (RectD{24, 24, 64, 48}));
  EXPECT_NEAR(shown(60, 44), mean[5][7].item<double>(), 1e-4 * mean.max().item<double>());
  EXPECT_NEAR(mean.sum().item<double>() + feature.explorer().shown()->global_total, 1, 1e-5);
}

TEST_F(ExploreFeatureTest, ABrushStrokeShowsTheMeanOfItsTokens) {
  feature.encode_image();
  settle();
  EXPECT_TRUE(workspace.actions.run("tool.brush"));
  send(CanvasPhase::kPress, {44, 44}, {44, 44});
  for (const double x : {50.0, 60.0, 68.0}) send(CanvasPhase::kDrag, {x, 44}, {44, 44});
  send(CanvasPhase::kRelease, {68, 44}, {44, 44});
  settle();
  const auto& brush = feature.explorer().shown()->question.tokens.brush;
  ASSERT_GE(brush.size(), 4u);                      // four tokens under the centre of the brush, neighbours within its radius
  std::vector<analysis::WeightedToken> tokens;
  for (const BrushToken& token : brush) tokens.push_back({token.row, token.column, token.weight});
  const auto& layer = engine->probe()->layer(2);
  const auto mean = analysis::row(layer, analysis::brush_map(layer, tokens), {}).dense();
  EXPECT_NEAR(shown(60, 44), mean[5][7].item<double>(), 1e-4 * mean.max().item<double>());
}

TEST_F(ExploreFeatureTest, TheWallHoldsEveryHeadAndShowsTheOneUnderTheMouse) {
  feature.encode_image();
  settle();
  click({76, 60});
  Explorer& explorer = feature.explorer();
  explorer.view.wall = true;                        // what the panel does while it is seen
  settle();
  for (int i = 0; i < 30000 && explorer.wall().size() < 6; ++i) {
    explorer.view.wall = true;
    frame();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_EQ(explorer.wall().size(), 6u);            // three layers of two heads
  explorer.view.wall = true;
  explorer.hover(1);
  frame();
  EXPECT_EQ(explorer.shown(), explorer.wall()[1]);
  const auto& layer = engine->probe()->layer(0);
  const auto row = analysis::row(layer, analysis::token_map(layer, 7, 9), {analysis::HeadFusion::kOne, 1}).dense();
  EXPECT_NEAR(shown(76, 60), row[7][9].item<double>(), 1e-4 * row.max().item<double>());
  explorer.view.wall = true;
  explorer.pin(3);
  settle();
  EXPECT_EQ(explorer.shown()->question.layer, 1);
  EXPECT_EQ(explorer.shown()->question.heads, (HeadSelection{Fusion::kOne, 1}));
}

TEST_F(ExploreFeatureTest, UndoBringsTokensAndLayersBack) {
  feature.encode_image();
  settle();
  workspace.history.reset();
  const auto step = [&] {
    settle();
    workspace.history.settle(History::Hands::kFree);
  };
  click({76, 60});
  step();
  workspace.actions.run("attention.previous_layer");
  step();
  click({20, 20});
  step();
  const View& view = feature.explorer().view;
  EXPECT_EQ(view.tokens.box, (TokenBox{2, 2, 1, 1}));
  workspace.history.undo();
  step();
  EXPECT_EQ(view.tokens.box, (TokenBox{7, 9, 1, 1}));
  EXPECT_EQ(view.layer, 1);
  workspace.history.undo();
  step();
  EXPECT_EQ(view.layer, 2);
  EXPECT_EQ(feature.explorer().shown()->question.layer, 2);
  workspace.history.undo();
  step();
  EXPECT_TRUE(view.tokens.empty());
  workspace.history.redo();
  workspace.history.redo();
  step();
  EXPECT_EQ(view.layer, 1);
  EXPECT_FALSE(workspace.history.undo_title().empty());
}

TEST_F(ExploreFeatureTest, ProjectSectionsSurviveAnything) {
  feature.encode_image();
  settle();
  click({76, 60});
  settle();
  const auto saved = workspace.sections.save();
  const View before = feature.explorer().view;
  feature.explorer().view.tokens = {.brush = {{3, 4, 1}, {3, 5, 1}}};
  feature.explorer().view.heads = {Fusion::kOne, 1};
  const View other = feature.explorer().view;
  const auto brush = workspace.sections.save();
  workspace.sections.load(saved);
  EXPECT_EQ(feature.explorer().view, before);
  workspace.sections.load(brush);
  EXPECT_EQ(feature.explorer().view, other);
  for (const char* text :
       {R"({"attention": 3})", R"({"attention": {"method": 4, "layer": "x", "head": -9, "tokens": [1]}})",
        R"({"attention": {"layer": 99, "window": -4, "tokens": {"box": [0, 0, 999, 1]}}})",
        R"({"attention": {"tokens": {"box": [0, 1.5, 1, 1], "brush": [3, [1], ["a", "b"]], "global": 77}, "low": null}})"}) {
    workspace.sections.load(nlohmann::json::parse(text));
    settle();
    EXPECT_EQ(error(), "") << text;
  }
  EXPECT_EQ(feature.explorer().view.layer, 2);
  EXPECT_EQ(feature.explorer().view.window, 1);
}

TEST(Thumbnails, KeepPeaksAndLeaveBlackWhatIsNotAnswered) {
  Reply reply;
  reply.place = {10, 20, 300, 300};
  reply.plane = ImageF32(300, 300, 1);
  std::ranges::fill(reply.plane.samples(), 0.25f);
  for (std::int64_t y = 0; y < 300; ++y)
    reply.plane.row(y)[77] = reply.plane.row(y)[80] = reply.plane.row(y)[83] = 1; // 1 %, beyond the clip
  const ImageU8 picture = picture_of(reply, reply.place, ColourTable::kGrey);
  EXPECT_EQ(picture.width(), 100);                  // blocks of three: at most 128
  EXPECT_EQ(picture.row(50)[3 * 25], 255);
  EXPECT_EQ(picture.row(50)[3 * 28], 0);            // the lowest value there is
  const ImageU8 beyond = picture_of(reply, {0, 0, 12, 22}, ColourTable::kGrey);
  EXPECT_EQ(beyond.row(0)[0], 0);
}

TEST_F(ExploreFeatureTest, MapsWithoutTokensAndFeaturesAsColours) {
  feature.encode_image();
  settle();
  EXPECT_TRUE(workspace.actions.run("attention.method.entropy"));
  settle();
  EXPECT_EQ(heat().raster().values.size(), 19u * 25u);
  EXPECT_EQ(heat().alpha, HeatAlpha::kFlat);
  EXPECT_TRUE(workspace.actions.run("attention.method.pca"));
  settle();
  EXPECT_NE(workspace.layers.find(kColourLayer), nullptr);
  EXPECT_TRUE(heat().raster().values.empty());
  click({76, 60});                                  // back to rows: pca is not about tokens
  settle();
  EXPECT_EQ(workspace.layers.find(kColourLayer), nullptr);
  EXPECT_EQ(heat().alpha, HeatAlpha::kByValue);
}

TEST_F(ExploreFeatureTest, AThresholdOfMassHidesTheRest) {
  feature.encode_image();
  settle();
  click({76, 60});
  feature.explorer().view.mass_share = 0.5;
  settle();
  const auto values = heat().raster().values;
  double held = 0, total = 0;
  for (const float value : values) {
    total += value;
    if (value >= heat().threshold) held += value;
  }
  EXPECT_GE(held, 0.5 * total * (1 - 1e-6));
  EXPECT_LT(held - heat().threshold, 0.5 * total);  // one token less would not do
}

TEST_F(ExploreFeatureTest, ErrorsAndOtherImages) {
  workspace.image->path = folder / "gone.png";
  feature.encode_image();
  settle();
  EXPECT_NE(error().find("gone.png"), std::string::npos) << error();
  workspace.messages.clear();
  click({76, 60});
  EXPECT_EQ(workspace.messages.all().size(), 1u);   // says what to do
  workspace.image->path = path;
  feature.encode_image();
  settle();
  click({76, 60});
  settle();
  EXPECT_FALSE(heat().raster().values.empty());
  workspace.layers.clear();
  for (const auto& changed : workspace.on_image_changed) changed();
  settle();
  EXPECT_EQ(feature.explorer().encoded(), nullptr);
  EXPECT_EQ(workspace.layers.find(kHeatLayer), nullptr);
}

TEST_F(ExploreFeatureTest, MoreThanTheMemoryHoldsHasAButtonThatZoomsIn) {
  most_pixels = 100 * 100;
  feature.encode_image();
  settle();
  EXPECT_EQ(error(), "waves.png: takes too much memory");
  ASSERT_EQ(feature.explorer().encoded(), nullptr);
  const auto action = workspace.messages.all().back().action;
  ASSERT_TRUE(action);
  EXPECT_EQ(action->label, "Zoom in and encode");
  action->run();
  EXPECT_EQ(error(), "");   // what was said of the encoding before is no longer true
  settle();
  EXPECT_EQ(error(), "");
  ASSERT_NE(feature.explorer().encoded(), nullptr);
  const auto region = feature.explorer().encoded()->request.region_level0;
  ASSERT_TRUE(region);
  EXPECT_LE(region->width * region->height, 100 * 100);
  EXPECT_EQ(*region, workspace.camera.visible_pixels());   // what is encoded is what is seen
  EXPECT_NEAR(workspace.camera.centre().x, 100, 1e-9);
  EXPECT_NEAR(workspace.camera.centre().y, 75, 1e-9);
}

TEST_F(ExploreFeatureTest, CancellingLeavesNothingEncoded) {
  feature.encode_image();
  EXPECT_TRUE(workspace.actions.run("attention.cancel"));
  settle();
  EXPECT_EQ(feature.explorer().encoded(), nullptr);
  EXPECT_EQ(error(), "");
  EXPECT_FALSE(workspace.actions.run("attention.next_layer"));
}

}  // namespace
}  // namespace fovea::explore
