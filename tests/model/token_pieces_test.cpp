#include "core/model/token_pieces.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "core/model/layers.h"
#include "tests/support/comparator.h"

namespace fovea {
namespace {

EncoderConfig small_encoder() {
  EncoderConfig config;
  config.width = 32;
  config.mlp_width = 64;
  return config;
}

TEST(TokenPieces, CoverEveryTokenOnceInMemoryThatIsLargeEnough) {
  const torch::InferenceMode no_gradients;
  for (const std::int64_t tokens : {1, 31, 257, 1000, 5003}) {
    const TokenPieces pieces(small_encoder(), tokens, torch::TensorOptions(torch::kFloat32));
    const std::int64_t begin = tokens / 3;
    std::vector<std::atomic<int>> met(static_cast<std::size_t>(tokens));
    std::atomic<bool> gradients{false};
    pieces.run(begin, tokens, [&](std::int64_t first, std::int64_t count, const BlockScratch& scratch) {
      if (!torch::InferenceMode::is_enabled()) gradients = true;
      scratch.hidden.narrow(0, 0, count).fill_(1);   // fails if there is no room
      for (std::int64_t i = first; i < first + count; ++i) ++met[static_cast<std::size_t>(i)];
    });
    for (std::int64_t i = 0; i < tokens; ++i) EXPECT_EQ(met[static_cast<std::size_t>(i)], i >= begin) << "token " << i << " of " << tokens;
    EXPECT_FALSE(gradients) << "a thread did not know that no gradients are wanted";
  }
}

TEST(TokenPieces, PassExceptionsOn) {
  const TokenPieces pieces(small_encoder(), 2000, torch::TensorOptions(torch::kFloat32));
  EXPECT_THROW(pieces.run(0, 2000, [](std::int64_t first, std::int64_t, const BlockScratch&) {
    if (first > 0) throw std::runtime_error("no");
  }), std::runtime_error);
}

class PreparedLinear : public ::testing::TestWithParam<torch::Dtype> {};

TEST_P(PreparedLinear, MultipliesAsTorchDoesAndSeesThatWeightsChange) {
  const torch::NoGradGuard no_gradients;
  torch::manual_seed(11);
  Linear linear(96, 80);
  linear.initialise(0.3);
  linear.bias.normal_();
  linear.to(GetParam());
  for (const std::int64_t tokens : {1, 77, 256}) {
    const auto x = torch::randn({tokens, 96}).to(GetParam());
    const auto memory = torch::empty({tokens, 80}, x.options());
    linear.prepare();
    for (const Activation activation : {Activation::kNone, Activation::kGelu}) {
      const auto expected = [&](torch::Dtype dtype) {
        const auto y = at::linear(x.to(dtype), linear.weight.to(dtype), linear.bias.to(dtype));
        return activation == Activation::kGelu ? torch::gelu(y) : y;
      };
      EXPECT_TRUE(test::as_accurate_as_torch(linear.apply(x, memory, activation),
                                             {.oracle = expected(torch::kFloat64), .torch = expected(GetParam()), .rounding_steps = 2}))
          << tokens << " tokens";
    }
    linear.into(x, memory);
    EXPECT_TRUE(test::identical(memory, linear.apply(x, torch::empty_like(memory)))) << tokens << " tokens";
    linear.weight.mul_(-1.5);   // the next prepare() must notice
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, PreparedLinear, ::testing::Values(torch::kFloat32, torch::kBFloat16, torch::kFloat64),
                         [](const auto& dtype) { return std::string(c10::toString(dtype.param)); });

}  // namespace
}  // namespace fovea
