// DINOv2-small as published, imported and compared with what timm computes from it. The data are not part of the repository:
//   FOVEA_GOLDEN_WEIGHTS   the checkpoint to import, in float32 (scripts/import_onnx.py makes one; float16 costs a factor of 1000)
//   FOVEA_GOLDEN_DIR       NAME.png with NAME.safetensors: `tokens` [1 + N, 384] and `class_row.layerL` [6, 1 + N], by timm in float32
#include <cstdlib>
#include <iostream>

#include "core/image/image_source.h"
#include "core/model/import.h"
#include "tests/model/model_test_support.h"

namespace fovea {
namespace {

constexpr double kTokensBound = 1e-4;          // relative, and below: absolute; what the project promises
constexpr double kClassRowBound = 1e-4;
constexpr std::array<std::int64_t, 1> kLastLayer{12};

class PretrainedGoldenTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* weights = std::getenv("FOVEA_GOLDEN_WEIGHTS");
    const char* folder = std::getenv("FOVEA_GOLDEN_DIR");
    if (!weights || !folder) {
      std::cerr << "NOT CHECKED: the import of DINOv2 against timm needs FOVEA_GOLDEN_WEIGHTS and FOVEA_GOLDEN_DIR\n";
      GTEST_SKIP() << "FOVEA_GOLDEN_WEIGHTS and FOVEA_GOLDEN_DIR are not set";
    }
    golden_ = folder;
    import_model(weights, folder_.path() / "backbone", {});
    model_ = load_model(folder_.path() / "backbone");
  }

  void check(const std::string& name) {
    torch::NoGradGuard no_grad;
    const auto source = open_image(golden_ / (name + ".png"));
    const auto image = source->read_rgb({.width = source->info().width, .height = source->info().height});
    const auto bytes = torch::empty({image.height(), image.width(), 3}, torch::kUInt8);
    std::copy(image.samples().begin(), image.samples().end(), bytes.mutable_data_ptr<std::uint8_t>());
    const auto pixels = model_->preprocess(bytes.permute({2, 0, 1}).unsqueeze(0));
    const auto expected = test::read_all(golden_ / (name + ".safetensors"));

    const double error = test::relative_error(model_->encoder().forward(pixels, kLastLayer).front()[0], expected.at("tokens"));
    std::cout << name << ": tokens differ by " << error << " (relative)\n";
    EXPECT_LE(error, kTokensBound);
    const TokenRows tokens{.global_tokens = 1, .rows = pixels.size(2) / 14, .columns = pixels.size(3) / 14};
    auto x = model_->encoder().tokenize(pixels);
    for (std::int64_t layer = 0; layer < 12; ++layer) {
      auto& block = model_->encoder().block(layer);
      const auto row = expected.find("class_row.layer" + std::to_string(layer));
      if (row != expected.end()) {
        const auto qkv = block.project_qkv(x, tokens);
        const auto weights = (torch::einsum("bhd,bnhd->bhn", {qkv.query.select(1, 0), qkv.key}) / 8).softmax(-1)[0];
        const double worst = test::max_error(weights, row->second);
        std::cout << name << ": attention of the class token in layer " << layer << " differs by " << worst << " (absolute)\n";
        EXPECT_LE(worst, kClassRowBound);
      }
      x = block.forward(x, tokens);
    }
  }

  std::filesystem::path golden_;
  test::TemporaryFolder folder_;
  std::shared_ptr<SegmentationModel> model_;
};

TEST_F(PretrainedGoldenTest, SquareOfTheStoredGrid) { check("square_518"); }
TEST_F(PretrainedGoldenTest, WideWithResizedPositions) { check("wide_224x336"); }

}  // namespace
}  // namespace fovea
