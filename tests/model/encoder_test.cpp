// The encoder against the same transformer written with torch's plain operators, and its pieces on bands of token rows.
#include "core/model/encoder.h"

#include <vector>

#include "tests/model/model_test_support.h"
#include "tests/support/attention_oracle.h"

namespace fovea {
namespace {

using torch::Tensor;

constexpr std::array<std::int64_t, 2> kBothLayers{1, 2};

// Encoder with all parameters random, in the given dtype.
std::shared_ptr<Encoder> random_encoder(Positions positions, torch::Dtype dtype) {
  torch::manual_seed(5);
  auto encoder = std::make_shared<Encoder>(test::small_encoder(positions));
  test::randomise(*encoder);
  encoder->to(dtype);
  encoder->eval();
  return encoder;
}

// Rotation by cosines and sines, pair by pair (the formula of core/model/positions.h), of a grid behind global tokens.
Tensor plain_rope(const Tensor& x, const TokenRows& tokens, double base) {
  const auto quarter = x.size(3) / 4;
  auto angle = torch::zeros({tokens.count(), 2 * quarter}, torch::kFloat64);
  for (std::int64_t cell = 0; cell < tokens.rows * tokens.columns; ++cell) {
    for (std::int64_t pair = 0; pair < 2 * quarter; ++pair) {
      const auto place = pair < quarter ? cell / tokens.columns : cell % tokens.columns;
      const double frequency = std::pow(base, -static_cast<double>(pair % quarter) / static_cast<double>(quarter));
      angle[tokens.global_tokens + cell][pair] = static_cast<double>(place) * frequency;
    }
  }
  const auto wide = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const auto cosine = angle.cos().unsqueeze(1).to(wide), sine = angle.sin().unsqueeze(1).to(wide);
  const auto pairs = x.to(wide).unflatten(-1, {-1, 2});
  const auto real = pairs.select(-1, 0), imaginary = pairs.select(-1, 1);
  return torch::stack({real * cosine - imaginary * sine, real * sine + imaginary * cosine}, -1).flatten(-2).to(x.scalar_type());
}

// The whole encoder: features after both layers, in the dtype of the parameters.
std::vector<Tensor> plain_encoder(const EncoderConfig& config, std::map<std::string, Tensor> weights, const Tensor& images) {
  const TokenRows tokens{.global_tokens = config.global_tokens, .rows = images.size(2) / config.patch,
                         .columns = images.size(3) / config.patch};
  const auto linear = [&](const std::string& name, const Tensor& x) {
    return at::linear(x, weights.at(name + ".weight"), weights.at(name + ".bias"));
  };
  const auto norm = [&](const std::string& name, const Tensor& x) {
    return torch::layer_norm(x, {config.width}, weights.at(name + ".weight"), weights.at(name + ".bias"), config.layer_norm_eps);
  };
  const std::vector<std::int64_t> stride{config.patch, config.patch};
  auto patches = at::conv2d(images, weights.at("patch.weight"), weights.at("patch.bias"), stride).flatten(2).transpose(1, 2);
  if (config.positions == Positions::kLearned) {
    const std::array<std::int64_t, 2> grid{tokens.rows, tokens.columns};
    patches = patches + resize_positions(weights.at("positions"), config.position_grid, grid);
  }
  auto x = torch::cat({weights.at("global_tokens").unsqueeze(0).expand({images.size(0), -1, -1}), patches}, 1);
  std::vector<Tensor> features;
  for (std::int64_t layer = 0; layer < config.depth; ++layer) {
    const auto name = "blocks." + std::to_string(layer) + ".";
    const auto& attention = config.attention[static_cast<std::size_t>(layer)];
    const auto packed = linear(name + "attention.qkv", norm(name + "norm1", x)).unflatten(-1, {3, config.heads, config.head_dim()});
    test::AttentionInputs inputs{packed.select(2, 0), packed.select(2, 1), packed.select(2, 2)};
    if (config.positions == Positions::kRope) {
      inputs.query = plain_rope(inputs.query, tokens, config.rope_base);
      inputs.key = plain_rope(inputs.key, tokens, config.rope_base);
    }
    test::AttentionProblem problem{.pattern = {.grid = {tokens.rows, tokens.columns}, .global_tokens = tokens.global_tokens,
                                               .window = attention.window, .dilation = attention.dilation},
                                   .batch = images.size(0), .heads = config.heads, .head_dim = config.head_dim(), .scale = {}};
    if (attention.dense) problem.pattern.window = {2 * tokens.rows + 1, 2 * tokens.columns + 1};
    const auto attended = test::dense_masked(problem, test::definition_mask(problem), inputs).output;
    x = x + weights.at(name + "scale1") * linear(name + "attention.out", attended.flatten(2));
    x = x + weights.at(name + "scale2") * linear(name + "mlp.fc2", torch::gelu(linear(name + "mlp.fc1", norm(name + "norm2", x))));
    features.push_back(norm("norm", x));
  }
  return features;
}

std::map<std::string, Tensor> weights_as(const Encoder& encoder, torch::Dtype dtype) {
  std::map<std::string, Tensor> weights;
  for (const auto& item : encoder.named_parameters()) weights[item.key()] = item.value().detach().to(dtype);
  return weights;
}

struct Case {
  Positions positions;
  torch::Dtype dtype;
};

class EncoderAccuracyTest : public testing::TestWithParam<Case> {};

// In every dtype: as near to the float64 result of the same (rounded) weights as torch's operators come.
TEST_P(EncoderAccuracyTest, ComputesWhatPlainTorchComputes) {
  torch::NoGradGuard no_grad;
  const auto encoder = random_encoder(GetParam().positions, GetParam().dtype);
  const auto& config = encoder->config();
  const auto images = torch::randn({2, 3, 6 * config.patch, 7 * config.patch}).to(GetParam().dtype);
  const auto features = encoder->forward(images, kBothLayers);
  const auto oracle = plain_encoder(config, weights_as(*encoder, torch::kFloat64), images.to(torch::kFloat64));
  const auto plain = plain_encoder(config, weights_as(*encoder, GetParam().dtype), images);
  ASSERT_EQ(features.size(), 2u);
  // In float64 torch's way is the oracle itself, and another order of summation all that may differ.
  const double steps = GetParam().dtype == torch::kFloat64 ? test::rounding_steps(config) : static_cast<double>(config.depth);
  for (std::size_t i = 0; i < features.size(); ++i) {
    EXPECT_EQ(features[i].scalar_type(), GetParam().dtype);
    EXPECT_TRUE(test::as_accurate_as_torch(features[i], {.oracle = oracle[i], .torch = plain[i], .rounding_steps = steps}));
  }
}

INSTANTIATE_TEST_SUITE_P(All, EncoderAccuracyTest,
                         testing::Values(Case{Positions::kLearned, torch::kFloat64}, Case{Positions::kRope, torch::kFloat64},
                                         Case{Positions::kLearned, torch::kFloat32}, Case{Positions::kRope, torch::kFloat32},
                                         Case{Positions::kLearned, torch::kBFloat16}, Case{Positions::kRope, torch::kBFloat16}),
                         [](const auto& test) {
                           const std::string positions = test.param.positions == Positions::kRope ? "Rope" : "Learned";
                           return positions + c10::toString(test.param.dtype);
                         });

class EncoderBandTest : public testing::TestWithParam<Positions> {
 protected:
  void expect_same(const Tensor& bands, const Tensor& whole) {
    // Each element is the same sum; only the order of summation may depend on the number of rows.
    const double steps = std::sqrt(static_cast<double>(encoder_->config().mlp_width)) * 4;
    EXPECT_LE(test::max_error(bands, whole), steps * test::unit_roundoff(torch::kFloat64) * test::max_magnitude(whole));
  }

  std::shared_ptr<Encoder> encoder_ = random_encoder(GetParam(), torch::kFloat64);
  std::int64_t rows_ = 11, columns_ = 5, patch_ = encoder_->config().patch, global_ = encoder_->config().global_tokens;
  Tensor images_ = torch::randn({1, 3, rows_ * patch_, columns_ * patch_}, torch::kFloat64);
  torch::NoGradGuard no_grad_;
};

TEST_P(EncoderBandTest, BandsOfTokensAreThoseOfTheImage) {
  std::vector<Tensor> bands{encoder_->global_tokens(1)};
  for (const auto& [first, rows] : {std::pair<std::int64_t, std::int64_t>{0, 4}, {4, 6}, {10, 1}}) {
    const auto pixels = images_.narrow(2, first * patch_, rows * patch_);
    bands.push_back(encoder_->patch_tokens(pixels, first, {rows_, columns_}));
  }
  expect_same(torch::cat(bands, 1), encoder_->tokenize(images_));
}

TEST_P(EncoderBandTest, BandsOfABlockAreThoseOfTheImage) {
  auto& block = encoder_->block(1);
  const TokenRows image{.global_tokens = global_, .rows = rows_, .columns = columns_};
  const auto x = encoder_->tokenize(images_);
  const auto whole = block.project_qkv(x, image);
  const auto attended = block.attend(whole, image);

  std::vector<Tensor> query, key, value, finished;
  const std::vector<TokenRows> parts{{.global_tokens = global_, .rows = 3, .columns = columns_},
                                     {.first_row = 3, .rows = 7, .columns = columns_},
                                     {.first_row = 10, .rows = 1, .columns = columns_}};
  for (const auto& part : parts) {
    const auto first = part.global_tokens > 0 ? 0 : global_ + part.first_row * columns_;
    const auto own = x.narrow(1, first, part.count());
    const auto qkv = block.project_qkv(own, part);
    query.push_back(qkv.query);
    key.push_back(qkv.key);
    value.push_back(qkv.value);
    finished.push_back(block.finish(own, attended.narrow(1, first, part.count())));
  }
  expect_same(torch::cat(query, 1), whole.query);
  expect_same(torch::cat(key, 1), whole.key);
  expect_same(torch::cat(value, 1), whole.value);
  expect_same(torch::cat(finished, 1), block.forward(x, image));
}

INSTANTIATE_TEST_SUITE_P(All, EncoderBandTest, testing::Values(Positions::kLearned, Positions::kRope),
                         [](const auto& test) { return test.param == Positions::kRope ? "Rope" : "Learned"; });

TEST(RotaryPositions, OfABandAreThoseOfTheImageToTheBit) {
  const auto whole = rotary_factors({.global_tokens = 2, .rows = 4000, .columns = 3}, 16, 100, torch::kFloat32, torch::kCPU);
  const auto band = rotary_factors({.first_row = 3990, .rows = 10, .columns = 3}, 16, 100, torch::kFloat32, torch::kCPU);
  EXPECT_TRUE(test::identical(torch::view_as_real(whole.narrow(0, 2 + 3990 * 3, 30)), torch::view_as_real(band)));
  EXPECT_TRUE(test::identical(torch::view_as_real(whole.narrow(0, 0, 2)), torch::view_as_real(torch::ones_like(whole.narrow(0, 0, 2)))));
}

TEST(RotaryPositions, TellOnlyDistances) {
  torch::manual_seed(1);
  const TokenRows grid{.rows = 6, .columns = 6};
  const auto factors = rotary_factors(grid, 8, 100, torch::kFloat64, torch::kCPU);
  const auto everywhere = [] { return torch::randn({1, 1, 1, 8}, torch::kFloat64).expand({1, 36, 1, 8}); };
  const auto query = everywhere(), key = everywhere();
  const auto scores = torch::matmul(rotate(query, factors).select(2, 0)[0], rotate(key, factors).select(2, 0)[0].t());
  const double bound = 8 * test::unit_roundoff(torch::kFloat64) * test::max_magnitude(scores) * 6;   // angles up to 5 radians, rounded
  EXPECT_NEAR(scores[0][8].item<double>(), scores[14][22].item<double>(), bound);    // one down, two right
  EXPECT_GT(std::abs((scores[0][8] - scores[0][13]).item<double>()), bound);         // two down, one right
}

TEST(LearnedPositions, AreResizedAsTimmDoes) {
  const auto golden = test::read_all(test::data_folder() / "golden.safetensors");
  const auto stored = test::read_all(test::data_folder() / "timm_tiny.safetensors").at("pos_embed")[0];
  const auto grid = stored.narrow(0, 1, 25);
  const auto resized = resize_positions(grid, {5, 5}, {4, 9});
  // 5 taps a side at most: weights and sums in float32, both times.
  const double bound = 2 * 25 * test::unit_roundoff(torch::kFloat32) * test::max_magnitude(grid);
  EXPECT_LE(test::max_error(resized, golden.at("wide.positions")), bound);
  EXPECT_TRUE(resize_positions(grid, {5, 5}, {5, 5}).is_same(grid));
}

TEST(StochasticDepth, LeavesOutWholeBranchesInTrainingOnly) {
  torch::NoGradGuard no_grad;
  const auto encoder = random_encoder(Positions::kRope, torch::kFloat32);
  const TokenRows tokens{.global_tokens = 3, .rows = 2, .columns = 2};
  const auto x = torch::randn({400, tokens.count(), 32});
  const auto all_branches = encoder->block(1).forward(x, tokens);
  const auto unchanged = [&](std::int64_t layer) {
    return (encoder->block(layer).forward(x, tokens) == x).flatten(1).all(1).sum().item<std::int64_t>();
  };
  encoder->set_stochastic_depth(0.5);
  EXPECT_TRUE(test::identical(encoder->block(1).forward(x, tokens), all_branches));
  encoder->train();
  EXPECT_EQ(unchanged(0), 0);                               // the first block's rate is 0
  EXPECT_NEAR(static_cast<double>(unchanged(1)), 100, 60);  // both branches out: a quarter; 60 is 7 standard deviations
}

TEST(EncoderGradients, ReachEveryParameter) {
  for (const auto positions : {Positions::kLearned, Positions::kRope}) {
    const auto encoder = random_encoder(positions, torch::kFloat32);
    const auto features = encoder->forward(torch::randn({1, 3, 32, 40}), kBothLayers);
    (features[0] * torch::randn_like(features[0]) + features[1] * torch::randn_like(features[1])).sum().backward();
    for (const auto& item : encoder->named_parameters()) {
      ASSERT_TRUE(item.value().grad().defined()) << item.key();
      EXPECT_GT(item.value().grad().abs().max().item<float>(), 0) << item.key();
    }
  }
}

}  // namespace
}  // namespace fovea
