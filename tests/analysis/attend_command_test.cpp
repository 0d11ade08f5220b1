// `fovea attend` as a process, held against the library: values, bytes, numbers, sentences.
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "core/attention/analysis/query.h"
#include "core/base/files.h"
#include "core/image/image_source.h"
#include "core/image/writers.h"
#include "tests/image/float_planes.h"
#include "tests/model/model_test_support.h"

namespace fovea::analysis {
namespace {

struct Outcome {
  int exit_code = 0;
  std::string text;   // standard output and error
};

Outcome run(const std::string& arguments) {
  const std::string command = std::string(FOVEA_PROGRAM) + " attend " + arguments + " --device cpu 2>&1";
  Outcome outcome;
  FILE* pipe = ::popen(command.c_str(), "r");
  require(pipe != nullptr, "popen");
  std::array<char, 4096> part{};
  while (const auto count = std::fread(part.data(), 1, part.size(), pipe)) outcome.text.append(part.data(), count);
  outcome.exit_code = WEXITSTATUS(::pclose(pipe));
  return outcome;
}

ImageU8 picture(std::int64_t width, std::int64_t height) {
  ImageU8 image(width, height, 3);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        image.row(y)[3 * x + c] = static_cast<std::uint8_t>(127 + 90 * std::sin(x * 0.11 * (c + 1) + y * y * 0.003));
      }
    }
  }
  return image;
}

// Two layers: dense, then windowed with a dilation a head; 3 globals; patch 8. Attention is not nearly uniform.
class AttendCommand : public testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(4);
    model_ = std::make_shared<SegmentationModel>(fovea::test::small_model(Positions::kRope));
    fovea::test::randomise(*model_);
    model_->eval();
    save_model(*model_, folder_.path() / "model", torch::kFloat32);
    write_png(path("image.png"), picture(150, 110));
  }

  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string base() const { return path("image.png") + " --model " + path("model") + " "; }
  nlohmann::json json(const std::string& name) const { return nlohmann::json::parse(read_text_file(path(name))); }

  Answer ask(const Query& query) {
    const auto image = open_image(path("image.png"))->read_rgb({.width = 150, .height = 110});
    const auto bytes = torch::empty({image.height(), image.width(), 3}, torch::kUInt8);
    std::copy(image.samples().begin(), image.samples().end(), bytes.mutable_data_ptr<std::uint8_t>());
    NoProgress progress;
    AttentionProbe probe(model_, bytes.permute({2, 0, 1}).contiguous(), "image", progress, {});
    return answer(probe, query, progress, {});
  }

  fovea::test::TemporaryFolder folder_;
  std::shared_ptr<SegmentationModel> model_;
};

// Every bit, for every method that has a plane.
TEST_F(AttendCommand, RawValuesAreTheLibrarys) {
  std::ofstream batch(path("batch.jsonl"));
  for (const auto& info : methods()) {
    if (info.method == Method::kPca) continue;
    const std::string name(info.name);
    batch << R"({"at": [61, 43], "method": ")" << name << R"(", "window": 3, "raw": ")" << path(name + ".tif") << R"(", "json": ")"
          << path(name + ".json") << "\"}\n";
  }
  batch.close();
  const auto outcome = run(base() + "--batch " + path("batch.jsonl"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  for (const auto& info : methods()) {
    if (info.method == Method::kPca) continue;
    Query query{.method = info.method, .count_paths = true, .window = 3};
    query.tokens.box = GridRect{43 / 8, 61 / 8, 1, 1};
    const auto expected = ask(query);
    const auto written = fovea::test::read_float_plane(path(std::string(info.name) + ".tif"));
    ASSERT_EQ(written.width, 19);
    ASSERT_EQ(written.height, 14);
    const auto values = torch::tensor(written.values).view({14, 19});
    EXPECT_TRUE(torch::equal(values.nan_to_num(-1), expected.plane.nan_to_num(-1))) << info.name << ": differs by "
                                                                                    << (values - expected.plane).abs().max();
    const auto described = json(std::string(info.name) + ".json");
    EXPECT_EQ(described["numbers"], expected.numbers) << info.name;
    EXPECT_EQ(described["model"]["sha256"], model_hash(folder_.path() / "model"));
    EXPECT_EQ(described["exact"], true);
    EXPECT_EQ(described["question"]["method"], info.name);
  }
}

// The stroke from one pixel to another: the tokens under it, and with a radius those whose middle it covers.
TEST_F(AttendCommand, ABrushTouchesTheTokensUnderIt) {
  const auto ask_raw = [&](const std::string& more) {
    const auto outcome = run(base() + "--raw " + path("brush.tif") + " " + more);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.text;
    return torch::tensor(fovea::test::read_float_plane(path("brush.tif")).values).view({14, 19});
  };
  const auto ask_tokens = [&](const std::vector<WeightedToken>& tokens) {
    Query query{.method = Method::kRow};
    query.tokens.brush = tokens;
    return ask(query).plane;
  };
  EXPECT_TRUE(torch::equal(ask_raw("--brush 20,20,44,20"), ask_tokens({{2, 2}, {2, 3}, {2, 4}, {2, 5}})));
  EXPECT_TRUE(torch::equal(ask_raw("--brush 20,20,20,36,28,36"), ask_tokens({{2, 2}, {3, 2}, {4, 2}, {4, 3}})));
  EXPECT_TRUE(torch::equal(ask_raw("--brush 20,20 --disc 9"), ask_tokens({{1, 2}, {2, 1}, {2, 2}, {2, 3}, {3, 2}})));
  std::ofstream(path("one.jsonl")) << R"({"brush": [[20, 20], [44, 20]], "raw": ")" << path("brush.tif") << "\"}\n";
  const auto outcome = run(base() + "--at 61,43 --batch " + path("one.jsonl"));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_TRUE(torch::equal(torch::tensor(fovea::test::read_float_plane(path("brush.tif")).values).view({14, 19}),
                           ask_tokens({{2, 2}, {2, 3}, {2, 4}, {2, 5}})));
}

TEST_F(AttendCommand, PixelsRepeatTheirToken) {
  const auto ask_raw = [&](const std::string& name, const std::string& more) {
    const auto outcome = run(base() + "--at 61,43 --raw " + path(name) + more);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.text;
    return fovea::test::read_float_plane(path(name));
  };
  const auto tokens = ask_raw("tokens.tif", ""), pixels = ask_raw("pixels.tif", " --raw-pixels");
  ASSERT_EQ(pixels.width, 150);
  ASSERT_EQ(pixels.height, 110);
  for (std::int64_t y = 0; y < 110; ++y) {
    for (std::int64_t x = 0; x < 150; ++x) {
      ASSERT_EQ(pixels.values[static_cast<std::size_t>(y * 150 + x)], tokens.values[static_cast<std::size_t>(y / 8 * 19 + x / 8)]);
    }
  }
}

TEST_F(AttendCommand, TheSameCommandWritesTheSameBytes) {
  for (const std::string question : {"--at 61,43 --method rollout", "--box 10,20,40,30 --method column --head 1", "--method pca"}) {
    const bool raw = question.find("pca") == std::string::npos;
    std::vector<std::string> bytes;
    for (int i = 0; i < 2; ++i) {
      const auto outcome =
          run(base() + question + " -o " + path("out.png") + " --json " + path("out.json") + (raw ? " --raw " + path("out.tif") : ""));
      ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
      std::string all;
      for (const char* name : {"out.png", "out.json", "out.tif"}) {
        if (!std::filesystem::exists(path(name))) continue;
        all += read_text_file(path(name));
        std::filesystem::remove(path(name));
      }
      bytes.push_back(all);
    }
    EXPECT_GT(bytes[0].size(), 1000u);
    EXPECT_EQ(bytes[0], bytes[1]) << question;
  }
}

TEST_F(AttendCommand, TheWallHoldsEveryLayerAndHead) {
  const auto outcome = run(base() + "--at 61,43 --all-heads -o " + path("wall.png") + " --json " + path("wall.json"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  const auto numbers = json("wall.json")["numbers"];
  ASSERT_EQ(numbers.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    Query query{.method = Method::kRow, .layer = numbers[i]["layer"], .heads = {HeadFusion::kOne, numbers[i]["head"]}};
    query.tokens.box = GridRect{43 / 8, 61 / 8, 1, 1};
    EXPECT_EQ(numbers[i]["numbers"], ask(query).numbers) << i;
  }
  EXPECT_GT(open_image(path("wall.png"))->info().width, 100);
}

TEST_F(AttendCommand, FixedAndPercentileRangesArePrintedAndStored) {
  const auto fixed = run(base() + "--at 61,43 --range 0,0.5 -o " + path("a.png") + " --json " + path("a.json"));
  EXPECT_NE(fixed.text.find("colours from 0 to 0.5 (fixed)"), std::string::npos) << fixed.text;
  EXPECT_EQ(json("a.json")["range"], (std::vector<double>{0, 0.5}));
  const auto clipped = run(base() + "--at 61,43 --clip 90 -o " + path("b.png") + " --json " + path("b.json"));
  EXPECT_NE(clipped.text.find("(percentile 90.0)"), std::string::npos) << clipped.text;
  EXPECT_LT(json("b.json")["range"][0].get<double>(), json("b.json")["range"][1].get<double>());
}

// A model of windows and global tokens alone: what a region says is what the whole image says, where it claims to be exact.
TEST_F(AttendCommand, ARegionSaysWhatTheWholeImageSays) {
  auto config = fovea::test::small_model(Positions::kRope);
  config.encoder.attention.assign(2, LayerAttention{.dense = false, .window = {3, 5}, .dilation = {1}});
  SegmentationModel windows(config);
  fovea::test::randomise(windows);
  windows.eval();
  save_model(windows, path("windows"), torch::kFloat32);
  const auto ask_raw = [&](const std::string& name, const std::string& more) {
    const auto outcome = run(path("image.png") + " --model " + path("windows") + " --raw " + path(name + ".tif") + " --json " +
                             path(name + ".json") + " " + more);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.text;
    return fovea::test::read_float_plane(path(name + ".tif"));
  };
  const std::string region = " --region 64,48,16,16";            // tokens (6, 8) to (7, 9)
  for (const std::string question : {"--method entropy", "--method norms", "--method similarity --at 70,50"}) {
    const auto whole = ask_raw("whole", question), part = ask_raw("part", question + region);
    ASSERT_EQ(part.width, 2) << question;
    ASSERT_EQ(part.height, 2) << question;
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(part.values[i], whole.values[(6 + i / 2) * 19 + 8 + i % 2], 1e-4) << question;
    }
    EXPECT_EQ(json("part.json")["exact"], true) << question;
  }
  const auto whole = ask_raw("whole", "--method row --at 70,50"), part = ask_raw("part", "--method row --at 70,50" + region);
  const auto computed = json("part.json")["computed"];
  const std::int64_t left = computed["x"].get<std::int64_t>() / 8, top = computed["y"].get<std::int64_t>() / 8;
  double total = 0;
  for (std::int64_t y = 0; y < part.height; ++y) {
    for (std::int64_t x = 0; x < part.width; ++x) {
      const auto value = part.values[static_cast<std::size_t>(y * part.width + x)];
      EXPECT_NEAR(value, whole.values[static_cast<std::size_t>((top + y) * 19 + left + x)], 1e-5);
      total += value;
    }
  }
  EXPECT_GT(total, 0.1);
  EXPECT_EQ(json("part.json")["exact"], true);
  ask_raw("part", "--method rollout --at 70,50" + region);
  EXPECT_EQ(json("part.json")["caveat"], "what passes through global tokens is followed inside the region and its halo alone");
  const auto local = ask_raw("whole", "--method rollout --paths local --at 70,50"),
             local_part = ask_raw("part", "--method rollout --paths local --at 70,50" + region);
  EXPECT_EQ(json("part.json")["exact"], true);
  for (std::int64_t y = 0; y < local_part.height; ++y) {
    for (std::int64_t x = 0; x < local_part.width; ++x) {
      EXPECT_NEAR(local_part.values[static_cast<std::size_t>(y * local_part.width + x)],
                  local.values[static_cast<std::size_t>((top + y) * 19 + left + x)], 1e-5);
    }
  }
  ask_raw("part", "--method row --at 70,50 --region-globals region" + region);
  EXPECT_EQ(json("part.json")["caveat"], "global tokens saw the region and its halo alone");
  const auto outside = run(path("image.png") + " --model " + path("windows") + " --at 62,50 -q -o " + path("bad.png") + region);
  EXPECT_EQ(outside.exit_code, 2);
  EXPECT_EQ(outside.text, "point (62, 50) lies outside: the pixels looked at are 64 ... 79 by 48 ... 63\n");
}

TEST_F(AttendCommand, BadQuestionsAreOneSentence) {
  const auto expect = [&](const std::string& question, int exit_code, const std::string& words) {
    const bool names_output = question.find(" -o ") != std::string::npos;
    const auto outcome = run(base() + question + " -q" + (names_output ? "" : " -o " + path("bad.png")));
    EXPECT_EQ(outcome.exit_code, exit_code) << question;
    EXPECT_NE(outcome.text.find(words), std::string::npos) << question << ": " << outcome.text;
    EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1) << outcome.text;
    EXPECT_FALSE(std::filesystem::exists(path("bad.png"))) << question;
  };
  expect("--at 150,43", 2, "point (150, 43) lies outside");
  expect("--box 140,0,20,8", 2, "point (159, 7) lies outside");
  expect("--at 61,43 --layer 2", 2, "layer 2 does not exist: the model has layers 0 to 1");
  expect("--at 61,43 --head 2", 2, "head 2 does not exist: the layer has heads 0 to 1");
  expect("--global 3", 2, "global token 3 does not exist: the model has 3");
  expect("--at 61,43 --head first", 2, "head 'first', expected a number, mean, max or min");
  expect("--at 61,43 -o " + path("bad.bmp"), 2, "must end in .png or .jpg");
  expect("--method look", 2, "method 'look', expected row, column");
  expect("--method row", 2, "asks about tokens");
  expect("--method kept-mass --window 4", 2, "window 4: must be odd and positive");
  expect("--method pattern --dense-layers 7", 2, "layer 7 does not exist");
  expect("--at 61,43 --region 100,0,80,50", 2, "does not lie inside the image of 150 x 110 pixels");
  expect("--box 10,10,9223372036854775807,1", 2, "lies outside");
  expect("--brush 20,20,160,20", 2, "point (160, 20) lies outside");
  expect("--brush 20,20 --at 3,3", 2, "exclude each other");
  expect("--global 0 --method rollout --paths local", 2, "local paths begin at tokens of the grid");
  expect("--method entropy --dense-layers 1", 2, "is for the methods pattern and changed");
  expect("--at 61,43 --range 1,0", 2, "LOW must lie below HIGH");
  expect("--at 61,43 --range 0,1 --colour-scale log", 2, "needs a --range above 0");
  expect("--at 61,43 -o " + path("image.png"), 2, "is the image itself");
  EXPECT_EQ(open_image(path("image.png"))->info().width, 150);
}

// What is wrong with a question is said before the encoder has run; a batch goes on behind it.
TEST_F(AttendCommand, BadQuestionsCostNoEncoding) {
  const auto alone = run(base() + "--at 61,43 --layer 7 --json " + path("a.json"));
  EXPECT_EQ(alone.exit_code, 2);
  EXPECT_EQ(alone.text, "layer 7 does not exist: the model has layers 0 to 1\n");
  std::ofstream(path("batch.jsonl")) << R"({"at": [61, 43], "layer": 7, "json": ")" << path("a.json") << "\"}\n\n"
                                     << R"({"at": [61, 43], "json": ")" << path("b.json") << "\"}\n";
  const auto batch = run(base() + "-q --batch " + path("batch.jsonl"));
  EXPECT_EQ(batch.exit_code, 1);
  EXPECT_EQ(batch.text, path("batch.jsonl") + ": line 1: layer 7 does not exist: the model has layers 0 to 1\n");
  EXPECT_FALSE(std::filesystem::exists(path("a.json")));
  EXPECT_TRUE(std::filesystem::exists(path("b.json")));
}

TEST_F(AttendCommand, BadBatchFilesAreOneSentence) {
  const auto expect = [&](const std::string& text, const std::string& words) {
    std::ofstream(path("batch.jsonl")) << text;
    const auto outcome = run(base() + "-q --batch " + path("batch.jsonl"));
    EXPECT_EQ(outcome.exit_code, 1) << text;
    EXPECT_NE(outcome.text.find(words), std::string::npos) << text << ": " << outcome.text;
    EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1) << outcome.text;
  };
  const std::string out = R"("output": ")" + path("a.png") + "\"";
  expect("", "holds no question");
  expect("{" + out + ", \"at\": [1]}", "line 1: key 'at' has a value of the wrong type");
  expect("{" + out + ", \"at\": [1, 1]}\n{nonsense", "line 2");
  expect("{" + out + ", \"at\": [1, 1], \"colour\": 3}", "line 1: unknown key 'colour'");
  expect("{" + out + ", \"at\": [1, 1]}\n{" + out + ", \"at\": [9, 9]}", "line 2: writes '" + path("a.png") + "' as line 1 does");
  EXPECT_FALSE(std::filesystem::exists(path("a.png")));
}

TEST_F(AttendCommand, LogarithmicColoursBeginAtTheSmallestValueShown) {
  const auto outcome = run(base() + "--at 61,43 --method rollout --colour-scale log --clip 100 -o " + path("a.png") + " --raw " + path("a.tif") +
                           " --json " + path("a.json"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  auto values = fovea::test::read_float_plane(path("a.tif")).values;
  std::erase(values, 0.0f);
  EXPECT_FLOAT_EQ(json("a.json")["range"][0], *std::min_element(values.begin(), values.end()));
  EXPECT_EQ(json("a.json")["colour_scale"], "log");
  EXPECT_EQ(json("a.json")["heuristics"].size(), 2u);
  EXPECT_GT(json("a.json")["numbers"]["through_globals"], 0.0);
}

}  // namespace
}  // namespace fovea::analysis
