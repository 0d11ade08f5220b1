// config.json: what is valid survives a round trip; each rule has one config that breaks it.
#include "core/model/config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>

#include "core/base/error.h"
#include "core/base/files.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

using nlohmann::json;

json valid_config() {
  return json::parse(R"({
    "format": "fovea-model/1", "name": "tiny", "description": "for tests",
    "encoder": {"width": 32, "depth": 2, "heads": 4, "mlp_width": 64, "patch": 8, "global_tokens": 2,
                "positions": {"kind": "rope", "base": 100.0}, "layer_norm_eps": 1e-6, "layer_scale": true,
                "attention": ["dense", {"window": [3, 5], "dilation": [1, 1, 2, 2]}]},
    "decoder": {"layers": [1, 2], "width": 16, "stem_width": 8},
    "preprocessing": {"mean": [0.5, 0.5, 0.5], "deviation": [0.2, 0.2, 0.2], "ground_sampling_distance_m": 0.1},
    "classes": [{"name": "land", "colour": [0, 128, 0]}, {"name": "water", "colour": [0, 0, 255]}],
    "ignore_index": 255, "sources": [{"what": "weights"}], "training": {"seed": 1}, "scores": {}
  })");
}

std::string complaint_about(const json& config) {
  try {
    parse_model_config(config, "m/config.json");
    return {};
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    return error.what();
  }
}

TEST(ModelConfig, SurvivesARoundTrip) {
  const auto config = parse_model_config(valid_config(), "m/config.json");
  EXPECT_EQ(to_json(config), valid_config());
  EXPECT_TRUE(config.encoder.attention[0].dense);
  EXPECT_EQ(config.encoder.attention[1].window, (std::array<std::int64_t, 2>{3, 5}));
  EXPECT_EQ(config.encoder.attention[1].dilation.size(), 4u);
  EXPECT_EQ(config.classes[1].name, "water");
  EXPECT_EQ(config.preprocessing.ground_sampling_distance_m, (PixelSizes{0.1, 0.1}));

  auto several = valid_config();
  several["preprocessing"]["ground_sampling_distance_m"] = {0.1, 1.0};
  EXPECT_EQ(parse_model_config(several, "m/config.json").preprocessing.ground_sampling_distance_m, (PixelSizes{0.1, 1.0}));
  EXPECT_EQ(to_json(parse_model_config(several, "m/config.json")), several);

  auto backbone = valid_config();
  backbone.erase("decoder");
  backbone["classes"] = json::array();
  backbone["encoder"]["positions"] = {{"kind", "learned"}, {"grid", {6, 7}}};
  backbone["preprocessing"].erase("ground_sampling_distance_m");
  EXPECT_EQ(to_json(parse_model_config(backbone, "m/config.json")), backbone);
}

struct BadConfig {
  std::string rule;
  std::function<void(json&)> breaks;
  std::string complaint;
  friend void PrintTo(const BadConfig& bad, std::ostream* stream) { *stream << bad.rule; }
};

class BadConfigTest : public testing::TestWithParam<BadConfig> {};

TEST_P(BadConfigTest, IsRefusedAndNamed) {
  auto config = valid_config();
  GetParam().breaks(config);
  EXPECT_EQ(complaint_about(config), "m/config.json: " + GetParam().complaint);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, BadConfigTest,
    testing::Values(
        BadConfig{"NotAnObject", [](json& c) { c = 3; }, "must be an object"},
        BadConfig{"FutureVersion", [](json& c) { c["format"] = "fovea-model/2"; c["new_key"] = 1; },
                  "format: this is a model of format \"fovea-model/2\", and "
                  "this program reads \"fovea-model/1\": a newer Fovea may read it"},
        BadConfig{"OtherFormat", [](json& c) { c["format"] = "onnx"; }, "format: must be \"fovea-model/1\""},
        BadConfig{"MissingKey", [](json& c) { c["encoder"].erase("heads"); }, "encoder.heads: is missing"},
        BadConfig{"UnknownKey", [](json& c) { c["encoder"]["haeds"] = 3; }, "encoder.haeds: unknown key"},
        BadConfig{"UnknownRootKey", [](json& c) { c["extra"] = 3; }, "extra: unknown key"},
        BadConfig{"NameType", [](json& c) { c["name"] = 3; }, "name: must be a text"},
        BadConfig{"EncoderType", [](json& c) { c["encoder"] = json::array(); }, "encoder: must be an object"},
        BadConfig{"WidthType", [](json& c) { c["encoder"]["width"] = 32.0; }, "encoder.width: must be an integer from 1 to 16384"},
        BadConfig{"WidthRange", [](json& c) { c["encoder"]["width"] = 1 << 20; }, "encoder.width: must be an integer from 1 to 16384"},
        BadConfig{"WidthBeyond64Bits", [](json& c) { c["encoder"]["width"] = ~0ull; }, "encoder.width: must be an integer from 1 to 16384"},
        BadConfig{"HeadsDivideWidth", [](json& c) { c["encoder"]["heads"] = 7; }, "encoder.heads: 7 does not divide width 32"},
        BadConfig{"HeadWidth", [](json& c) { c["encoder"]["width"] = 2048; },
                  "encoder.heads: width per head is 512, at most 256 is supported"},
        BadConfig{"PatchTooSmall", [](json& c) { c["encoder"]["patch"] = 2; }, "encoder.patch: must be an integer from 4 to 256"},
        BadConfig{"GlobalTokens", [](json& c) { c["encoder"]["global_tokens"] = 65; },
                  "encoder.global_tokens: must be an integer from 0 to 64"},
        BadConfig{"Epsilon", [](json& c) { c["encoder"]["layer_norm_eps"] = 0; }, "encoder.layer_norm_eps: must be above 0"},
        BadConfig{"LayerScaleType", [](json& c) { c["encoder"]["layer_scale"] = 1; }, "encoder.layer_scale: must be true or false"},
        BadConfig{"PositionKind", [](json& c) { c["encoder"]["positions"]["kind"] = "alibi"; },
                  "encoder.positions.kind: must be \"learned\" or \"rope\""},
        BadConfig{"RopeBase", [](json& c) { c["encoder"]["positions"]["base"] = 1; }, "encoder.positions.base: must be above 1"},
        BadConfig{"RopeWidth", [](json& c) { c["encoder"]["heads"] = 16; c["encoder"]["attention"] = {"dense", "dense"}; },
                  "encoder.positions.kind: rope needs a width per head that is a multiple of 4, not 2"},
        BadConfig{"LearnedGrid", [](json& c) { c["encoder"]["positions"] = {{"kind", "learned"}, {"grid", {3}}}; },
                  "encoder.positions.grid: must hold two integers"},
        BadConfig{"AttentionCount", [](json& c) { c["encoder"]["attention"].push_back("dense"); },
                  "encoder.attention: 3 entries, expected one for each of 2 layers"},
        BadConfig{"AttentionText", [](json& c) { c["encoder"]["attention"][0] = "sparse"; },
                  "encoder.attention[0]: must be \"dense\" or an object with window and dilation"},
        BadConfig{"AttentionType", [](json& c) { c["encoder"]["attention"][0] = 3; },
                  "encoder.attention[0]: must be \"dense\" or an object with window and dilation"},
        BadConfig{"WindowEven", [](json& c) { c["encoder"]["attention"][1]["window"] = {3, 4}; },
                  "encoder.attention[1].window: 4 is even, must be odd"},
        BadConfig{"DilationZero", [](json& c) { c["encoder"]["attention"][1]["dilation"] = {0}; },
                  "encoder.attention[1].dilation: must be an integer from 1 to 1048576"},
        BadConfig{"DilationCount", [](json& c) { c["encoder"]["attention"][1]["dilation"] = {1, 2}; },
                  "encoder.attention[1].dilation: 2 entries, expected 1 or one for each of 4 heads"},
        BadConfig{"DecoderLayerRange", [](json& c) { c["decoder"]["layers"] = {1, 3}; }, "decoder.layers: must be an integer from 1 to 2"},
        BadConfig{"DecoderLayersRise", [](json& c) { c["decoder"]["layers"] = {2, 2}; }, "decoder.layers: must rise"},
        BadConfig{"DecoderLayersEmpty", [](json& c) { c["decoder"]["layers"] = json::array(); },
                  "decoder.layers: must name at least one layer"},
        BadConfig{"MeanCount", [](json& c) { c["preprocessing"]["mean"] = {1, 2}; }, "preprocessing.mean: must hold three numbers"},
        BadConfig{"MeanNumber", [](json& c) { c["preprocessing"]["mean"] = {1, 2, "3"}; }, "preprocessing.mean: must be a finite number"},
        BadConfig{"Deviation", [](json& c) { c["preprocessing"]["deviation"][1] = 0; }, "preprocessing.deviation: must be above 0"},
        BadConfig{"SamplingDistance", [](json& c) { c["preprocessing"]["ground_sampling_distance_m"] = -1; },
                  "preprocessing.ground_sampling_distance_m: must be above 0"},
        BadConfig{"SamplingDistanceText", [](json& c) { c["preprocessing"]["ground_sampling_distance_m"] = "0.1"; },
                  "preprocessing.ground_sampling_distance_m: must be a finite number"},
        BadConfig{"SamplingDistanceCount", [](json& c) { c["preprocessing"]["ground_sampling_distance_m"] = {0.1, 0.3, 1}; },
                  "preprocessing.ground_sampling_distance_m: must be a number, or the smallest and the largest"},
        BadConfig{"SamplingDistanceOrder", [](json& c) { c["preprocessing"]["ground_sampling_distance_m"] = {1, 0.1}; },
                  "preprocessing.ground_sampling_distance_m: must hold the smaller number first"},
        BadConfig{"SamplingDistanceSmallest", [](json& c) { c["preprocessing"]["ground_sampling_distance_m"] = {0, 0.1}; },
                  "preprocessing.ground_sampling_distance_m: must be above 0"},
        BadConfig{"ClassesMissing", [](json& c) { c["classes"] = json::array(); },
                  "classes: is empty, and a model with a decoder needs at least one class"},
        BadConfig{"ClassesWithoutDecoder", [](json& c) { c.erase("decoder"); }, "classes: must be empty: the model has no decoder"},
        BadConfig{"ClassesTooMany", [](json& c) { c["classes"] = json::array_t(256, c["classes"][0]); },
                  "classes: 256 classes, at most 255 are supported"},
        BadConfig{"ClassTwice", [](json& c) { c["classes"][1]["name"] = "land"; }, "classes[1].name: \"land\" appears twice"},
        BadConfig{"ClassUnnamed", [](json& c) { c["classes"][1]["name"] = ""; }, "classes[1].name: is empty"},
        BadConfig{"ClassColour", [](json& c) { c["classes"][1]["colour"] = {0, 0}; }, "classes[1].colour: must hold red, green and blue"},
        BadConfig{"ClassColourRange", [](json& c) { c["classes"][1]["colour"] = {0, 0, 256}; },
                  "classes[1].colour: must be an integer from 0 to 255"},
        BadConfig{"IgnoreIsAClass", [](json& c) { c["ignore_index"] = 1; }, "ignore_index: 1 is the index of class \"water\""},
        BadConfig{"SourcesType", [](json& c) { c["sources"] = 1; }, "sources: must be a list"},
        BadConfig{"TrainingType", [](json& c) { c["training"] = 1; }, "training: must be an object"},
        BadConfig{"ScoresType", [](json& c) { c["scores"] = 1; }, "scores: must be an object"}),
    [](const auto& test) { return test.param.rule; });

std::string complaint_about_file(const std::string& content) {
  const test::TemporaryFolder temporary;
  const auto& folder = temporary.path();
  write_file_atomically(folder / "config.json", content);
  try {
    read_model_config(folder);
    return {};
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    const std::string message = error.what(), start = (folder / "config.json").string() + ": ";
    EXPECT_TRUE(message.starts_with(start)) << message;
    return message.substr(std::min(start.size(), message.size()));
  }
}

TEST(ModelConfigFile, IsReadOrRefusedWithItsName) {
  EXPECT_EQ(complaint_about_file(valid_config().dump()), "");
  EXPECT_TRUE(complaint_about_file("{").starts_with("not valid JSON: "));
  EXPECT_EQ(complaint_about_file(R"({"name": "a", "name": "b"})"), "name: key appears twice");
  EXPECT_EQ(complaint_about_file(std::string(40, '[') + std::string(40, ']')), "JSON is nested deeper than 32 levels");
}

TEST(ModelConfigFile, MissingFolderAndFileAreNamed) {
  const test::TemporaryFolder temporary;
  const auto folder = temporary / "absent";
  const auto complaint = [&] {
    try { read_model_config(folder); } catch (const Error& error) { return std::string(error.what()); }
    return std::string();
  };
  EXPECT_EQ(complaint(), folder.string() + ": no such model folder");
  std::filesystem::create_directories(folder);
  EXPECT_EQ(complaint(), (folder / "config.json").string() + ": no such file, so this is not a model folder");
  write_file_atomically(folder / "model.safetensors", "");
  EXPECT_EQ(complaint(), (folder / "config.json").string() +
                             ": no such file, so this is not a model folder (fovea import makes one of foreign weights)");
}

}  // namespace
}  // namespace fovea
