// What the window saves, against what the command in the sidecar makes: the same bytes.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <set>

#include "app/viewer/explore/attend_command.h"
#include "app/viewer/explore/region.h"
#include "app/viewer/explore/session.h"
#include "app/viewer/export/picture.h"
#include "app/viewer/layers/colour_layer.h"
#include "app/viewer/segment/segmentation.h"
#include "core/base/files.h"
#include "core/image/writers.h"
#include "tests/support/temporary_folder.h"
#include "tests/viewer/waves.h"

namespace fovea {
namespace {

// Runs the commands of a file's sidecar in its folder; returns the paths that they wrote.
std::vector<std::filesystem::path> run_sidecar(const std::filesystem::path& file) {
  const auto sidecar = nlohmann::json::parse(read_text_file(sidecar_path(file)));
  std::vector<std::filesystem::path> written;
  for (const auto& entry : sidecar["commands"]) {
    if (!entry.contains("shell")) continue;
    std::string line = entry["shell"].get<std::string>();
    line.replace(0, std::string_view("fovea").size(), FOVEA_PROGRAM);
    const std::string command = "cd '" + file.parent_path().string() + "' && " + line + " --quiet";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    written.push_back(file.parent_path() / entry["writes"].get<std::string>());
  }
  return written;
}

class ExportTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { engine = explore::load_engine(); }
  static void TearDownTestSuite() { engine.reset(); }
  void SetUp() override { write_png(image, test::waves(203, 150)); }

  Segmentation segment(std::optional<Rect> region) {
    return segment_or_find({.image = image, .image_key = "ab12", .model = "aerial", .region_level0 = region}, folder / "kept", *engine, progress, {});
  }
  void write(const std::filesystem::path& file, Sidecar sidecar, const BackgroundJob::Work& work) {
    Messages messages;
    Exporter exporter(messages, {});
    exporter.start(file, std::move(sidecar), work);
    for (int i = 0; i < 60000 && exporter.running(); ++i) {
      exporter.poll();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_EQ(messages.last_error(), "");
    ASSERT_FALSE(exporter.running());
  }

  static inline std::unique_ptr<explore::Engine> engine;
  test::TemporaryFolder folder;
  std::filesystem::path image = folder / "a scene's.png";
  NoProgress progress;
};

// One command for all formats: starting it and the model take longer than the work.
TEST_F(ExportTest, EveryKindOfClassMapIsThatOfFoveaSegment) {
  for (const auto& region : {std::optional<Rect>(), std::optional(Rect{40, 20, 121, 64})}) {
    const Segmentation made = segment(region);
    const std::filesystem::path first = folder / "map.png";
    const std::string stem = (folder / "again" / image.stem()).string();
    const Sidecar sidecar{.what = "mask", .image = image,
                          .commands = {{.layer = "segmentation", .command = segment_command(made, image, "again", {"png", "geojson", "coco", "probs"}),
                                        .writes = "again/" + image.stem().string() + "_mask.png"}}};
    write(first, sidecar, [&](Progress& p, const std::stop_token& stop) { save_mask(made, image, first, p, stop); });
    const auto again = run_sidecar(first);
    ASSERT_EQ(again.size(), 1u);
    EXPECT_GT(read_text_file(first).size(), 100u);
    EXPECT_EQ(read_text_file(first), read_text_file(again[0]));
    for (const char* extension : {".geojson", ".json"}) {
      const std::filesystem::path file = folder / (std::string("map") + extension);
      save_mask(made, image, file, progress, {});
      EXPECT_EQ(read_text_file(file), read_text_file(stem + mask_file_kind(file).suffix)) << extension;
    }
    save_mask(made, image, folder / "map.tif", progress, {});
    EXPECT_EQ(read_text_file(folder / "map.tif"), read_text_file(made.mask));   // as its own pipeline wrote it
    EXPECT_EQ(read_text_file(made.probabilities), read_text_file(stem + "_probs.tif"));
  }
}

TEST_F(ExportTest, WhatIsKnownIsNotComputedAgain) {
  const Segmentation made = segment(std::nullopt);
  const auto time = std::filesystem::last_write_time(folder / "kept" / (made.key + ".json"));
  const Segmentation again = segment(std::nullopt);
  EXPECT_EQ(again.key, made.key);
  EXPECT_EQ(std::filesystem::last_write_time(folder / "kept" / (made.key + ".json")), time);
  EXPECT_EQ(to_json(again), to_json(made));
  EXPECT_NE(segment(Rect{0, 0, 100, 100}).key, made.key);
  std::filesystem::remove(made.mask);
  EXPECT_FALSE(find_segmentation(folder / "kept", made.key));
  EXPECT_FALSE(find_segmentation(folder / "kept", "../" + made.key));
  EXPECT_EQ(read_text_file(segment(std::nullopt).mask).empty(), false);
}

TEST_F(ExportTest, AttentionMapsAreThoseOfFoveaAttend) {
  for (const auto& region : {std::optional<Rect>(), std::optional(Rect{100, 60, 40, 30})}) {
    const auto encoded = engine->encode({.image = image, .model = "aerial", .region_level0 = region, .margin = region ? explore::Margin::kNone : explore::Margin::kAuto}, progress, {});
    ASSERT_EQ(encoded.whole_image, !region.has_value());
    const explore::TokenBox token{encoded.asked_tokens.row + 1, encoded.asked_tokens.column + 2, 1, 1};
    const explore::TokenBox box{encoded.asked_tokens.row, encoded.asked_tokens.column, 2, 3};
    const explore::Selection brush{.brush = {{token.row, token.column, 1}, {token.row + 1, token.column + 1, 1}, {token.row + 1, token.column, 1}}};
    // Each starts a program and a model: the fewest that have all options in them.
    std::vector<explore::Question> questions{{.method = "rollout", .tokens = {.box = token}, .layer = 5, .attention_share = 0.3}};
    if (region) {
      questions = {{.method = "row", .tokens = brush, .layer = 11, .heads = {explore::Fusion::kOne, 2}},
                   {.method = "column", .tokens = {.box = box}, .layer = 0, .heads = {explore::Fusion::kMax}}};
    }
    for (auto question : questions) {
      question.rounding = explore::Rounding::kAsAttend;   // as the window does where it saves
      const auto reply = engine->answer(question, progress, {});
      const std::filesystem::path file = folder / "attention.tif";
      write(file, {.what = "attention", .image = image, .commands = {explore::attend_command("attention", encoded, question)}},
            [&](Progress&, const std::stop_token&) { explore::write_raw_map(file, encoded, reply, {}); });
      const auto again = run_sidecar(file);
      ASSERT_EQ(again.size(), 1u) << question.method;
      EXPECT_TRUE(read_text_file(file) == read_text_file(again[0])) << question.method << (region ? " region" : "");
    }
  }
}

// Features as colours: every token's pixels in a picture at full resolution have the colour that the command gives them, at its own size.
TEST_F(ExportTest, FeatureColoursAreThoseOfFoveaAttend) {
  const auto encoded = engine->encode({.image = image, .model = "aerial"}, progress, {});
  const auto reply = engine->answer({.method = "pca", .layer = 11}, progress, {});
  ASSERT_EQ(reply.colours.width(), encoded.columns);
  LayerList layers;
  auto& colours = layers.add(std::make_unique<ColourLayer>("attention-colours", "Features"));
  colours.set_colours(reply.colours.clone(), RectD::of(explore::pixels_of(encoded, reply.place)));
  const std::filesystem::path file = folder / "layers.png";
  write(file, {.what = "overlay", .image = image, .commands = {explore::attend_command(colours.id, encoded, reply.question)}},
        [&](Progress& p, const std::stop_token& stop) {
          write_picture({.path = file, .area = {0, 0, 203, 150}}, rows_of(layers), p, stop);
        });
  const auto again = run_sidecar(file);
  ASSERT_EQ(again.size(), 1u);
  const auto saved = open_image(file), made = open_image(again[0]);
  const ImageU8 picture = saved->read_rgb({0, 0, 203, 150});
  const double scale = static_cast<double>(made->info().width) / 203;   // its caption is below
  const ImageU8 command = made->read_rgb({0, 0, made->info().width, static_cast<std::int64_t>(150 * scale)});
  const auto at = [](const ImageU8& of, double x, double y) {
    const std::uint8_t* p = of.row(static_cast<std::int64_t>(y)) + 3 * static_cast<std::int64_t>(x);
    return std::array{p[0], p[1], p[2]};
  };
  std::set<std::array<std::uint8_t, 3>> seen;
  for (double y = 4; y < 150; y += 8) {
    for (double x = 4; x < 203; x += 8) {
      for (const double off : {-3.5, 0.5, 3.5}) {   // all of a token alike
        if (x + off >= 203 || y + off >= 150) continue;
        EXPECT_EQ(at(picture, x + off, y + off), at(command, x * scale, y * scale)) << x << ", " << y;
      }
      seen.insert(at(picture, x, y));
    }
  }
  EXPECT_GT(seen.size(), 50u);
}

// A layer's rollout is not to the byte what the command makes, and the sidecar says so; what is saved as values is.
TEST(Sidecar, SaysWhichRolloutsAreRounded) {
  auto model = std::make_shared<explore::ModelSummary>();
  model->device = "cpu";
  explore::Encoded encoded;
  encoded.request.image = "/data/a.tif", encoded.model = model;
  const auto note = [&](const char* method, explore::Rounding rounding) {
    return explore::attend_command("attention", encoded, {.method = method, .rounding = rounding}).note;
  };
  EXPECT_NE(note("rollout", explore::Rounding::kQuick).find("half precision"), std::string::npos);
  EXPECT_EQ(note("rollout", explore::Rounding::kAsAttend), "");
  EXPECT_EQ(note("row", explore::Rounding::kQuick), "");
}

TEST(Sidecar, NamesTheImageFromWhereItLies) {
  const Sidecar sidecar{.what = "view", .image = "/data/scenes/scene 1.tif", .commands = {{.layer = "attention", .command = {}, .writes = {}, .note = "why"}}};
  const auto json = to_json(sidecar, "/data/out/view.png");
  EXPECT_EQ(json["image_from_here"], "../scenes/scene 1.tif");
  EXPECT_FALSE(json["commands"][0].contains("command"));
  EXPECT_EQ(json["commands"][0]["note"], "why");
  EXPECT_EQ(shell_line({"fovea", "a b", "it's", "", "--x=1,2"}), "fovea 'a b' 'it'\\''s' '' --x=1,2");
}

}  // namespace
}  // namespace fovea
