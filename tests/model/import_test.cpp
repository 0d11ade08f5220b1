// Imported checkpoints against timm, transformers and formulas written out in Python (tests/model/data/make_golden.py).
#include "core/model/import.h"

#include <fstream>

#include "tests/model/model_test_support.h"

namespace fovea {
namespace {

using test::data_folder;
using test::relative_error;

constexpr std::array<std::int64_t, 1> kLastLayer{2};

ImportOptions tiny(ImportOptions options = {}) {
  options.heads = 2;   // 24 channels do not tell
  return options;
}

class ImportTest : public testing::Test {
 protected:
  std::shared_ptr<SegmentationModel> import(const std::string& source, const ImportOptions& options = tiny()) {
    report_ = import_model(data_folder() / source, output(), options);
    return load_model(output());
  }
  std::filesystem::path output() const { return folder_.path() / "imported"; }
  const torch::Tensor& golden(const std::string& name) const { return golden_.at(name); }

  // The tokens of a golden image: [1, N, C].
  torch::Tensor tokens(SegmentationModel& model, const std::string& image) {
    torch::NoGradGuard no_grad;
    return model.encoder().forward(golden(image), kLastLayer).front();
  }
  static double rounding_bound(const SegmentationModel& model) {
    return test::unit_roundoff(torch::kFloat32) * test::rounding_steps(model.config().encoder);
  }
  void expect_tokens(SegmentationModel& model, const std::string& image, const std::string& expected) {
    EXPECT_LE(relative_error(tokens(model, image), golden(expected)), rounding_bound(model)) << image << " " << expected;
  }

  test::TemporaryFolder folder_;
  ImportReport report_;
  std::map<std::string, torch::Tensor> golden_ = test::read_all(data_folder() / "golden.safetensors");
};

TEST_F(ImportTest, TimmGivesWhatTimmGives) {
  const auto model = import("timm_tiny.safetensors");
  EXPECT_EQ(report_.layout, "timm VisionTransformer");
  EXPECT_TRUE(report_.left_out.empty());
  expect_tokens(*model, "square", "square.tokens");
  expect_tokens(*model, "wide", "wide.tokens");   // positions resized from 5x5 to 4x9
}

TEST_F(ImportTest, TransformersGivesWhatTransformersGives) {
  const auto model = import("dinov2_tiny.safetensors");
  EXPECT_EQ(report_.layout, "transformers Dinov2Model");
  EXPECT_EQ(report_.left_out, (std::vector<std::string>{"embeddings.mask_token"}));
  expect_tokens(*model, "square", "square.tokens");
  expect_tokens(*model, "wide", "wide.tokens");
}

TEST_F(ImportTest, RegisterTokensFollowTheClassToken) {
  const auto model = import("registers_tiny.safetensors");
  EXPECT_EQ(model->config().encoder.global_tokens, 3);
  expect_tokens(*model, "square", "square.registers.tokens");
  expect_tokens(*model, "wide", "wide.registers.tokens");
}

TEST_F(ImportTest, ClassTokenAttendsAsItDid) {
  const auto model = import("timm_tiny.safetensors");
  torch::NoGradGuard no_grad;
  for (const std::string image : {"square", "wide"}) {
    const auto& pixels = golden(image);
    const TokenRows rows{.global_tokens = 1, .rows = pixels.size(2) / 6, .columns = pixels.size(3) / 6};
    auto x = model->encoder().tokenize(pixels);
    for (std::int64_t layer = 0; layer < 2; ++layer) {
      auto& block = model->encoder().block(layer);
      const auto qkv = block.project_qkv(x, rows);
      const auto scores = torch::einsum("bhd,bnhd->bhn", {qkv.query.select(1, 0), qkv.key}) / std::sqrt(12.0);
      const auto& expected = golden(image + ".class_row." + std::to_string(layer));
      EXPECT_LE(relative_error(scores.softmax(-1), expected), rounding_bound(*model));
      x = block.forward(x, rows);
    }
  }
}

TEST_F(ImportTest, MeanPositionsRotaryEmbeddingAndWindows) {
  const auto model = import("timm_tiny.safetensors", tiny({.positions = ImportedPositions::kMeanAndRope, .window = {{3, 5}}}));
  EXPECT_EQ(model->config().encoder.rope_base, 100);
  expect_tokens(*model, "square", "square.windowed_rope.tokens");
  expect_tokens(*model, "wide", "wide.windowed_rope.tokens");
}

TEST_F(ImportTest, PatchKernelsAreResampledByLeastSquares) {
  for (const std::int64_t size : {4, 8}) {
    const auto model = import("timm_tiny.safetensors", tiny({.patch = size}));
    const auto kernels = model->encoder().named_parameters()["patch.weight"];
    // Solved in float64 both times, rounded to float32 both times.
    EXPECT_LE(relative_error(kernels, golden("kernels." + std::to_string(size))), 2 * test::unit_roundoff(torch::kFloat32)) << size;
  }
}

TEST_F(ImportTest, FurtherGlobalTokensAreSmallAndRepeatable) {
  const auto options = tiny({.global_tokens = 8, .seed = 3});
  const auto first = import("timm_tiny.safetensors", options)->encoder().global_tokens(1)[0];
  const auto again = import("timm_tiny.safetensors", options)->encoder().global_tokens(1)[0];
  const auto alone = import("timm_tiny.safetensors")->encoder().global_tokens(1)[0];
  ASSERT_EQ(first.size(0), 8);
  EXPECT_TRUE(torch::equal(first, again));
  EXPECT_TRUE(torch::equal(first[0], alone[0]));
  const auto added = first.narrow(0, 1, 7);
  EXPECT_GT(added.abs().min().item<float>(), 0);
  EXPECT_LT(added.std().item<float>(), alone.std().item<float>());
  EXPECT_FALSE(torch::equal(first, import("timm_tiny.safetensors", tiny({.global_tokens = 8, .seed = 4}))->encoder().global_tokens(1)[0]));
}

TEST_F(ImportTest, SettingsBesideTheWeightsAreRead) {
  const auto source = folder_.path() / "source";
  std::filesystem::create_directories(source);
  std::filesystem::copy_file(data_folder() / "dinov2_tiny.safetensors", source / "model.safetensors");
  std::ofstream(source / "config.json") << R"({"num_attention_heads": 2, "layer_norm_eps": 1e-5, "model_type": "dinov2"})";
  std::ofstream(source / "preprocessor_config.json") << R"({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]})";
  import_model(source, output(), {.name = "mine", .licence = "Apache-2.0"});
  const auto config = read_model_config(output());
  EXPECT_EQ(config.name, "mine");
  EXPECT_EQ(config.encoder.heads, 2);
  EXPECT_EQ(config.encoder.layer_norm_eps, 1e-5);
  EXPECT_EQ(config.preprocessing.mean, (std::array<double, 3>{0.1, 0.2, 0.3}));
  EXPECT_EQ(config.preprocessing.deviation, (std::array<double, 3>{0.4, 0.5, 0.6}));
  EXPECT_EQ(config.sources[0]["licence"], "Apache-2.0");
}

// Sources with a fault, made from the good one.
class BadSourceTest : public ImportTest {
 protected:
  std::string complaint(std::map<std::string, torch::Tensor> tensors, ErrorKind kind = ErrorKind::kModel,
                        const ImportOptions& options = tiny()) {
    const auto source = folder_.path() / "bad.safetensors";
    write_tensors(source, tensors);
    const auto message = test::error_message(kind, [&] { import_model(source, output(), options); });
    EXPECT_FALSE(std::filesystem::exists(output() / "model.safetensors"));
    const std::string start = source.string() + ": ";
    EXPECT_TRUE(message.starts_with(start)) << message;
    return message.substr(std::min(start.size(), message.size()));
  }
  std::map<std::string, torch::Tensor> good_ = test::read_all(data_folder() / "timm_tiny.safetensors");
};

TEST_F(BadSourceTest, IsRefusedAndNamed) {
  auto tensors = good_;
  tensors.erase("blocks.1.attn.proj.bias");
  EXPECT_EQ(complaint(tensors), "blocks.1.attn.proj.bias: is missing");
  tensors = good_;
  tensors["adapter.weight"] = torch::zeros({1});
  EXPECT_EQ(complaint(tensors), "adapter.weight: has no place in this encoder");
  tensors = good_;
  tensors["norm.bias"][3] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(complaint(tensors), "norm.bias: has values that are not finite");
  tensors = good_;
  tensors["norm.bias"] = torch::zeros({24}, torch::kInt32);
  EXPECT_EQ(complaint(tensors), "norm.bias: dtype I32, expected a floating-point type");
  tensors = good_;
  tensors["norm.bias"] = torch::zeros({25});
  EXPECT_EQ(complaint(tensors), "the tensor for encoder.norm.bias has a shape that does not fit the others");
  tensors = good_;
  tensors["pos_embed"] = torch::zeros({1, 39, 24});
  EXPECT_EQ(complaint(tensors), "pos_embed: 39 positions are no square grid, with or without one for the class token");
  tensors = good_;
  tensors["patch_embed.proj.weight"] = torch::zeros({24, 4, 4, 4});
  EXPECT_EQ(complaint(tensors), "patch_embed.proj.weight: must be [width, 3, patch, patch]");
  tensors = good_;
  tensors.erase("patch_embed.proj.weight");
  EXPECT_EQ(complaint(tensors), "has no patch embedding of a Dinov2Model or a timm VisionTransformer");
  tensors = good_;
  tensors["cls_token"] = torch::zeros({1, 1, 23});   // torch's own words, cut to one line
  EXPECT_FALSE(complaint(tensors).empty());
}

TEST_F(BadSourceTest, OptionsThatDoNotFitAreAUsageError) {
  EXPECT_EQ(complaint(good_, ErrorKind::kUsage, {.heads = 7}), "encoder.heads: 7 does not divide width 24");
  EXPECT_EQ(complaint(good_, ErrorKind::kUsage, tiny({.window = {{4, 5}}})), "encoder.attention[0].window: 4 is even, must be odd");
  EXPECT_EQ(complaint(good_, ErrorKind::kUsage, tiny({.global_tokens = 0})), "has 1 global tokens, and fewer were asked for");
}

TEST_F(BadSourceTest, MissingSourceIsNamed) {
  const auto source = folder_.path() / "absent";
  const auto message = test::error_message(ErrorKind::kModel, [&] { import_model(source, output(), {}); });
  EXPECT_EQ(message, source.string() + ": no such file or folder");
}

}  // namespace
}  // namespace fovea
