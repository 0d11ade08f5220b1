// Class-token maps against what timm computes. Always: a tiny model (tests/model/data/make_golden.py). With DINOv2-small as published:
//   FOVEA_GOLDEN_WEIGHTS   the checkpoint to import, in float32
//   FOVEA_GOLDEN_DIR       NAME.png with NAME.safetensors: `class_row.layerL` [6, 1 + N], by timm in float32
#include <cstdlib>
#include <iostream>

#include "core/attention/analysis/query.h"
#include "core/attention/analysis/rows.h"
#include "core/image/image_source.h"
#include "core/model/import.h"
#include "tests/analysis/dense_oracle.h"
#include "tests/model/model_test_support.h"

namespace fovea::analysis {
namespace {

constexpr double kClassRowBound = 1e-4;   // absolute; what the project promises

// All heads' rows of the class token: [heads, 1 + N] float64.
torch::Tensor class_rows(const AttentionLayer& layer) {
  std::vector<torch::Tensor> rows;
  for (std::int64_t head = 0; head < layer.heads(); ++head) {
    rows.push_back(test::as_vector(row(layer, global_map(layer, 0), {HeadFusion::kOne, head})));
  }
  return torch::stack(rows);
}

double worst_error(const torch::Tensor& value, const torch::Tensor& expected) {
  if (value.sizes() != expected.sizes() || !value.isfinite().all().item<bool>()) return std::numeric_limits<double>::infinity();
  return (value - expected.to(torch::kDouble)).abs().max().item<double>();
}

TEST(GoldenMaps, TheClassTokensRowsOfATinyModelAreTimms) {
  const fovea::test::TemporaryFolder folder;
  const auto golden = fovea::test::read_all(fovea::test::data_folder() / "golden.safetensors");
  ImportOptions options;
  options.heads = 2;
  import_model(fovea::test::data_folder() / "dinov2_tiny.safetensors", folder.path() / "tiny", options);
  const auto model = load_model(folder.path() / "tiny");
  torch::NoGradGuard no_grad;
  for (const std::string image : {"square", "wide"}) {
    const auto& pixels = golden.at(image);
    const TokenRows tokens{.global_tokens = 1, .rows = pixels.size(2) / 6, .columns = pixels.size(3) / 6};
    auto x = model->encoder().tokenize(pixels);
    for (std::int64_t l = 0; l < 2; ++l) {
      const auto qkv = model->encoder().block(l).project_qkv(x, tokens);
      const AttentionLayer layer{.query = qkv.query[0], .key = qkv.key[0], .pattern = dense_pattern({tokens.rows, tokens.columns}, 1)};
      const auto error = worst_error(class_rows(layer), golden.at(image + ".class_row." + std::to_string(l))[0]);
      EXPECT_LE(error, kClassRowBound) << image << ", layer " << l;
      const auto& other = golden.at(image + ".class_row." + std::to_string(1 - l))[0];
      EXPECT_GT(worst_error(class_rows(layer), other), kClassRowBound);   // the comparison can fail
      x = model->encoder().block(l).forward(x, tokens);
    }
  }
}

// As `fovea attend --global 0` asks: from the pixels of a file.
TEST(GoldenMaps, TheClassTokensRowsOfDinov2AreTimms) {
  const char* weights = std::getenv("FOVEA_GOLDEN_WEIGHTS");
  const char* folder = std::getenv("FOVEA_GOLDEN_DIR");
  if (!weights || !folder) {
    std::cerr << "NOT CHECKED: class-token maps of DINOv2 against timm need FOVEA_GOLDEN_WEIGHTS and FOVEA_GOLDEN_DIR\n";
    GTEST_SKIP() << "FOVEA_GOLDEN_WEIGHTS and FOVEA_GOLDEN_DIR are not set";
  }
  const fovea::test::TemporaryFolder imported;
  import_model(weights, imported.path() / "backbone", {});
  const auto model = load_model(imported.path() / "backbone");
  for (const std::string name : {"square_518", "wide_224x336"}) {
    const auto source = open_image(std::filesystem::path(folder) / (name + ".png"));
    const auto image = source->read_rgb({.width = source->info().width, .height = source->info().height});
    const auto bytes = torch::empty({image.height(), image.width(), 3}, torch::kUInt8);
    std::copy(image.samples().begin(), image.samples().end(), bytes.mutable_data_ptr<std::uint8_t>());
    NoProgress progress;
    AttentionProbe probe(model, bytes.permute({2, 0, 1}).contiguous(), name, progress, {});
    const auto golden = fovea::test::read_all(std::filesystem::path(folder) / (name + ".safetensors"));
    for (const std::int64_t layer : {0, 5, 11}) {
      const auto& expected = golden.at("class_row.layer" + std::to_string(layer));
      for (std::int64_t head = 0; head < 6; ++head) {
        Query query{.method = Method::kRow, .layer = layer, .heads = {HeadFusion::kOne, head}};
        query.tokens.global_token = 0;
        const auto plane = answer(probe, query, progress, {}).plane.flatten().to(torch::kDouble);
        EXPECT_LE(worst_error(plane, expected[head].narrow(0, 1, plane.size(0))), kClassRowBound) << name << ", layer " << layer;
      }
      const double error = worst_error(class_rows(probe.layer(layer)), expected);   // with what it sees of itself
      std::cout << name << ": attention of the class token in layer " << layer << " differs by " << error << " (absolute)\n";
      EXPECT_LE(error, kClassRowBound);
    }
  }
}

}  // namespace
}  // namespace fovea::analysis
