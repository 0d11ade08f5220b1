// The whole model: any image size, and the folder on disk with everything that can be wrong in it.
#include "core/model/segmentation_model.h"


#include <sys/resource.h>

#include "core/base/files.h"
#include "core/model/model_size.h"
#include "tests/model/model_test_support.h"

namespace fovea {
namespace {

class SegmentationModelTest : public testing::Test {
 protected:
  SegmentationModelTest() {
    torch::manual_seed(4);
    test::randomise(*model_);
    model_->eval();
  }
  std::filesystem::path folder() const { return folder_.path() / "model"; }
  std::filesystem::path weights() const { return folder() / "model.safetensors"; }

  test::TemporaryFolder folder_;
  std::shared_ptr<SegmentationModel> model_ = std::make_shared<SegmentationModel>(test::small_model(Positions::kRope));
  torch::NoGradGuard no_grad_;
};

TEST_F(SegmentationModelTest, LabelsImagesOfAnySize) {
  for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {8, 16}, {7, 17}, {33, 24}}) {
    const auto images = torch::randint(256, {2, 3, height, width}, torch::kUInt8);
    const auto logits = model_->forward(images);
    ASSERT_EQ(logits.sizes(), (std::vector<std::int64_t>{2, 3, height, width}));
    EXPECT_EQ(logits.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(test::identical(model_->forward(images.to(torch::kFloat32)), logits));
  }
}

TEST_F(SegmentationModelTest, NormalisesAndRepeatsTheEdge) {
  auto images = torch::zeros({1, 3, 5, 7}, torch::kUInt8);
  images.select(1, 1).fill_(255);
  images[0][2][4][6] = 200;
  const auto pixels = model_->preprocess(images);
  ASSERT_EQ(pixels.sizes(), (std::vector<std::int64_t>{1, 3, 8, 8}));
  const auto& [mean, deviation, ignored] = model_->config().preprocessing;
  const double bound = 4 * test::unit_roundoff(torch::kFloat32) * 4;   // four roundings, values up to 4
  EXPECT_NEAR(pixels[0][0][0][0].item<double>(), -mean[0] / deviation[0], bound);
  EXPECT_NEAR(pixels[0][1][0][0].item<double>(), (1 - mean[1]) / deviation[1], bound);
  EXPECT_EQ(pixels[0][2][7][7].item<float>(), pixels[0][2][4][6].item<float>());
  EXPECT_NE(pixels[0][2][7][7].item<float>(), pixels[0][2][0][0].item<float>());
}

TEST_F(SegmentationModelTest, SurvivesARoundTrip) {
  const auto images = torch::randint(256, {1, 3, 20, 30}, torch::kUInt8);
  save_model(*model_, folder(), torch::kFloat32);
  const auto loaded = load_model(folder());
  EXPECT_FALSE(loaded->is_training());
  EXPECT_EQ(to_json(loaded->config()), to_json(model_->config()));
  EXPECT_TRUE(test::identical(loaded->forward(images), model_->forward(images)));

  const auto first_hash = model_hash(folder());
  save_model(*loaded, folder_.path() / "again", torch::kFloat32);
  EXPECT_EQ(model_hash(folder_.path() / "again"), first_hash);
  loaded->parameters()[0].view(-1)[0] += 1;
  save_model(*loaded, folder_.path() / "again", torch::kFloat32);
  EXPECT_NE(model_hash(folder_.path() / "again"), first_hash);
}

TEST_F(SegmentationModelTest, StoresHalfAndRunsInBfloat16) {
  save_model(*model_, folder(), torch::kFloat16);
  EXPECT_EQ(SafetensorsFile(weights()).entries()[0].type, ElementType::kF16);
  const auto single = load_model(folder()), half = load_model(folder(), torch::kCPU, torch::kBFloat16);
  EXPECT_EQ(half->dtype(), torch::kBFloat16);
  const auto original = model_->named_parameters(), stored = single->named_parameters();
  for (const auto& item : original) {
    const double bound = test::unit_roundoff(torch::kFloat16) * test::max_magnitude(item.value());
    EXPECT_LE(test::max_error(stored[item.key()], item.value()), bound) << item.key();
  }
  // Roundings of a chain of sums add like random steps: encoder blocks and the decoder's 12 layers, each rounding its result.
  const auto images = torch::randint(256, {1, 3, 24, 40}, torch::kUInt8);
  const auto expected = single->forward(images);
  const double steps = test::rounding_steps(model_->config().encoder) + 12;
  EXPECT_LE(test::relative_error(half->forward(images), expected), steps * test::unit_roundoff(torch::kBFloat16));
}

TEST_F(SegmentationModelTest, HashIsSha256OfBothFiles) {
  std::filesystem::create_directories(folder());
  write_file_atomically(folder() / "config.json", "ab");
  write_file_atomically(weights(), "c");
  EXPECT_EQ(model_hash(folder()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");   // FIPS 180-4, "abc"
}

TEST_F(SegmentationModelTest, ValuesThatFloat16CannotHoldAreNotWritten) {
  model_->encoder().named_parameters()["norm.bias"][0] = 1e6;
  const auto message = test::error_message(ErrorKind::kModel, [&] { save_model(*model_, folder(), torch::kFloat16); });
  EXPECT_EQ(message, weights().string() + ": encoder.norm.bias: has values that are not finite");
  EXPECT_FALSE(std::filesystem::exists(weights()));
}

TEST_F(SegmentationModelTest, StartsFromABackbone) {
  auto backbone_config = model_->config();
  backbone_config.decoder.reset();
  backbone_config.classes.clear();
  SegmentationModel backbone(backbone_config);
  EXPECT_EQ(backbone.decoder(), nullptr);
  test::error_message(ErrorKind::kContract, [&] { backbone.forward(torch::zeros({1, 3, 8, 8})); });
  const auto started = start_from(model_->config(), backbone);
  const auto encoder = started->encoder().named_parameters();
  for (const auto& item : backbone.encoder().named_parameters()) {
    EXPECT_TRUE(test::identical(encoder[item.key()], item.value())) << item.key();
  }

  auto other = model_->config();
  other.encoder.global_tokens = 5;
  EXPECT_EQ(test::error_message(ErrorKind::kModel, [&] { start_from(other, backbone); }),
            "small: encoder.global_tokens: shape [3, 32], expected [5, 32]");
  other = model_->config();
  other.encoder.positions = Positions::kLearned;
  EXPECT_EQ(test::error_message(ErrorKind::kModel, [&] { start_from(other, backbone); }), "small: encoder.positions: is missing");
}

TEST_F(SegmentationModelTest, KeepsADecoderThatHasTheSameClasses) {
  auto config = model_->config();
  config.name = "renamed";
  const auto kept = start_from(config, *model_)->decoder()->named_parameters();
  config.classes.back().name = "something else";
  const auto fresh = start_from(config, *model_)->decoder()->named_parameters();
  bool differs = false;
  for (const auto& item : model_->decoder()->named_parameters()) {
    EXPECT_TRUE(test::identical(kept[item.key()], item.value())) << item.key();
    differs |= !test::identical(fresh[item.key()], item.value());
  }
  EXPECT_TRUE(differs);
}

TEST_F(SegmentationModelTest, ParametersAreCountedBeforeTheyAreThere) {
  for (const auto positions : {Positions::kRope, Positions::kLearned}) {
    for (const bool layer_scale : {true, false}) {
      for (const bool decoder : {true, false}) {
        auto config = test::small_model(positions, 14);
        config.encoder.layer_scale = layer_scale;
        if (!decoder) config.decoder.reset(), config.classes.clear();
        std::int64_t count = 0;
        for (const auto& parameter : SegmentationModel(config).parameters()) count += parameter.numel();
        EXPECT_EQ(parameter_count(config), static_cast<double>(count));
      }
    }
  }
}

class BadModelTest : public SegmentationModelTest {
 protected:
  BadModelTest() { save_model(*model_, folder(), torch::kFloat32); }

  std::string complaint() {
    const auto message = test::error_message(ErrorKind::kModel, [&] { load_model(folder()); });
    const std::string start = folder().string() + "/";
    EXPECT_TRUE(message.starts_with(start)) << message;
    return message.substr(std::min(start.size(), message.size()));
  }
  std::string complaint_with(const std::string& name, const torch::Tensor& tensor) {
    auto tensors = test::read_all(weights());
    if (tensor.defined()) tensors[name] = tensor; else tensors.erase(name);
    write_tensors(weights(), tensors);
    return complaint();
  }
};

TEST_F(BadModelTest, MissingTensor) {
  EXPECT_EQ(complaint_with("encoder.blocks.1.attention.qkv.weight", {}),
            "model.safetensors: encoder.blocks.1.attention.qkv.weight: is missing");
}

TEST_F(BadModelTest, WrongShape) {
  EXPECT_EQ(complaint_with("encoder.blocks.1.attention.qkv.weight", torch::zeros({32, 32})),
            "model.safetensors: encoder.blocks.1.attention.qkv.weight: shape [32, 32], expected [96, 32]");
}

TEST_F(BadModelTest, ExtraTensor) {
  EXPECT_EQ(complaint_with("encoder.blocks.2.norm1.bias", torch::zeros({32})),
            "model.safetensors: encoder.blocks.2.norm1.bias: is not part of the model that config.json describes");
}

TEST_F(BadModelTest, WrongType) {
  EXPECT_EQ(complaint_with("encoder.norm.bias", torch::zeros({32}, torch::kFloat64)),
            "model.safetensors: encoder.norm.bias: dtype F64, expected F32, F16 or BF16");
}

TEST_F(BadModelTest, ValuesThatAreNotFinite) {
  auto bias = torch::zeros({32});
  bias[7] = std::nanf("");
  EXPECT_EQ(complaint_with("encoder.norm.bias", bias), "model.safetensors: encoder.norm.bias: has values that are not finite");
  bias[7] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(complaint_with("encoder.norm.bias", bias), "model.safetensors: encoder.norm.bias: has values that are not finite");
}

TEST_F(BadModelTest, ExtraClass) {
  auto config = model_->config();
  config.classes.push_back({.name = "d", .colour = {0, 0, 0}});
  write_file_atomically(folder() / "config.json", to_json(config).dump());
  EXPECT_EQ(complaint(), "model.safetensors: decoder.head.bias: shape [12], expected [16]");
}

TEST_F(BadModelTest, MissingFiles) {
  std::filesystem::remove(weights());
  EXPECT_EQ(complaint(), "model.safetensors: No such file or directory");
  std::filesystem::remove(folder() / "config.json");
  EXPECT_EQ(complaint(), "config.json: no such file, so this is not a model folder");
}

TEST_F(BadModelTest, TruncatedWeights) {
  std::filesystem::resize_file(weights(), std::filesystem::file_size(weights()) - 1);
  EXPECT_TRUE(complaint().ends_with(": data reach beyond the end of the file"));
}

std::int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

// A small file cannot make the program touch memory that only its config promises.
TEST_F(BadModelTest, ConfigThatPromisesGigabytes) {
  constexpr std::int64_t kWidth = 4096, kMlpWidth = 16384, kDepth = 8, kFloatBytes = 4;
  auto config = model_->config();
  config.encoder.width = kWidth;
  config.encoder.heads = 32;
  config.encoder.mlp_width = kMlpWidth;
  config.encoder.depth = kDepth;
  config.encoder.attention.assign(kDepth, config.encoder.attention[0]);
  write_file_atomically(folder() / "config.json", to_json(config).dump());
  constexpr std::int64_t kPromisedBytes = kDepth * (4 * kWidth * kWidth + 2 * kWidth * kMlpWidth) * kFloatBytes;
  const auto before = peak_memory_bytes();
  EXPECT_EQ(complaint(), "model.safetensors: decoder.taps.0.weight: shape [16, 32], expected [16, 4096]");
  EXPECT_LT(peak_memory_bytes() - before, kPromisedBytes / 4);   // a sanitizer's shadow alone is an eighth
}

}  // namespace
}  // namespace fovea
