// The decoder on bands with halo, its reach, and how it starts.
#include "core/model/decoder.h"

#include "tests/model/model_test_support.h"

namespace fovea {
namespace {

using torch::Tensor;

struct Inputs {
  std::vector<Tensor> features;   // [1, h * w, 12] each
  Tensor images;                  // [1, 3, h * patch, w * patch]
};

class DecoderTest : public testing::TestWithParam<std::int64_t> {
 protected:
  DecoderTest() {
    torch::manual_seed(9);
    test::randomise(decoder_);
    decoder_.to(torch::kFloat64);
  }

  Inputs random_inputs(std::int64_t rows, std::int64_t columns) const {
    const auto options = torch::TensorOptions(torch::kFloat64);
    return {.features = {torch::randn({1, rows * columns, 12}, options), torch::randn({1, rows * columns, 12}, options)},
            .images = torch::randn({1, 3, rows * patch_, columns * patch_}, options)};
  }
  // Token rows first ... first + rows - 1 of the inputs.
  Inputs band(const Inputs& whole, std::int64_t first, std::int64_t rows, std::int64_t columns) const {
    Inputs part{.features = {}, .images = whole.images.narrow(2, first * patch_, rows * patch_)};
    for (const auto& feature : whole.features) part.features.push_back(feature.narrow(1, first * columns, rows * columns));
    return part;
  }

  std::int64_t patch_ = GetParam();
  Decoder decoder_{DecoderConfig{.layers = {1, 2}, .width = 10, .stem_width = 6},
                   DecoderShape{.encoder_width = 12, .patch = GetParam(), .classes = 3}};
};

TEST_P(DecoderTest, BandsWithHaloGiveTheWholeImage) {
  torch::NoGradGuard no_grad;
  const auto halo = decoder_.halo_rows(), step = decoder_.row_alignment();
  ASSERT_EQ(halo % step, 0);
  const std::int64_t rows = 2 * halo + 4 * step + 3, columns = 3;   // no multiple of anything
  const auto inputs = random_inputs(rows, columns);
  const auto whole = decoder_.forward(inputs.features, inputs.images);
  ASSERT_EQ(whole.sizes(), (std::vector<std::int64_t>{1, 3, rows * patch_, columns * patch_}));

  std::vector<Tensor> bands;
  const std::int64_t height = halo / step * step + 2 * step;
  for (std::int64_t first = 0; first < rows; first += height) {
    const auto end = std::min(first + height, rows);
    const auto halo_first = std::max<std::int64_t>(first - halo, 0), halo_end = std::min(end + halo, rows);
    const auto part = band(inputs, halo_first, halo_end - halo_first, columns);
    bands.push_back(decoder_.forward(part.features, part.images).narrow(2, (first - halo_first) * patch_, (end - first) * patch_));
  }
  ASSERT_GT(bands.size(), 1u);
  // The same sums, perhaps in another order; where a token is no whole number of quarter places, a place's coordinate is rounded in
  // proportion to its distance from the band's top instead of the image's.
  const double places = static_cast<double>(rows * patch_);
  EXPECT_LE(test::max_error(torch::cat(bands, 2), whole), 16 * places * test::unit_roundoff(torch::kFloat64) * test::max_magnitude(whole));
}

TEST_P(DecoderTest, NothingReachesBeyondTheHalo) {
  const auto halo = decoder_.halo_rows();
  const std::int64_t rows = 2 * halo + 5, columns = 2, middle = halo + 2;
  auto inputs = random_inputs(rows, columns);
  for (auto& feature : inputs.features) feature.requires_grad_();
  inputs.images.requires_grad_();
  const auto logits = decoder_.forward(inputs.features, inputs.images).narrow(2, middle * patch_, patch_);
  (logits * torch::randn_like(logits)).sum().backward();
  const auto by_feature_row = inputs.features[0].grad().view({rows, -1}).abs().amax(1);
  const auto by_pixel_row = inputs.images.grad().abs().amax({0, 1, 3});
  for (std::int64_t row = 0; row < rows; ++row) {
    const bool inside = std::abs(row - middle) <= halo;
    const double reach = std::max(by_feature_row[row].item<double>(), by_pixel_row.narrow(0, row * patch_, patch_).max().item<double>());
    if (!inside) {
      EXPECT_EQ(reach, 0) << row;
    } else if (row == middle) {
      EXPECT_GT(reach, 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Patches, DecoderTest, testing::Values(4, 7, 8, 14, 16), testing::PrintToStringParamName());

TEST(DecoderStart, IsCalmLightAndWithoutCheckerboard) {
  torch::manual_seed(2);
  Decoder decoder(DecoderConfig{}, DecoderShape{.encoder_width = 384, .patch = 8, .classes = 5});
  decoder.initialise();
  torch::NoGradGuard no_grad;
  std::int64_t parameters = 0;
  for (const auto& parameter : decoder.parameters()) parameters += parameter.numel();
  EXPECT_LE(parameters, 2'000'000);
  const std::vector<Tensor> features{torch::randn({1, 64, 384}), torch::randn({1, 64, 384})};
  const auto logits = decoder.forward(features, torch::randn({1, 3, 64, 64}));
  EXPECT_GT(logits.std().item<float>(), 0);
  EXPECT_LT(logits.abs().max().item<float>(), 1);           // all classes about equally likely
  const auto corner = logits.slice(2, 0, 64, 2).slice(3, 0, 64, 2);
  for (const std::int64_t y : {0, 1}) {
    for (const std::int64_t x : {0, 1}) {
      const double bound = std::sqrt(32 * 9.0) * test::unit_roundoff(torch::kFloat32) * test::max_magnitude(corner);
      EXPECT_LE(test::max_error(logits.slice(2, y, 64, 2).slice(3, x, 64, 2), corner), bound);
    }
  }
}

TEST(DecoderGradients, ReachEveryParameter) {
  Decoder decoder(DecoderConfig{.layers = {1, 2}, .width = 10, .stem_width = 6},
                  DecoderShape{.encoder_width = 12, .patch = 8, .classes = 3});
  test::randomise(decoder);
  const std::vector<Tensor> features{torch::randn({1, 12, 12}), torch::randn({1, 12, 12})};
  const auto logits = decoder.forward(features, torch::randn({1, 3, 24, 32}));
  (logits * torch::randn_like(logits)).sum().backward();
  for (const auto& item : decoder.named_parameters()) {
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    EXPECT_GT(item.value().grad().abs().max().item<float>(), 0) << item.key();
  }
}

}  // namespace
}  // namespace fovea
