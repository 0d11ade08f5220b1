// The fused steps against torch in the same dtype and in float64, on the CPU and on a GPU (skips without one, fails under
// FOVEA_REQUIRE_GPU=1).
#include "core/attention/token_steps.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "core/base/torch_runtime.h"
#include "core/model/layers.h"
#include "core/model/positions.h"
#include "tests/support/comparator.h"

namespace fovea {
namespace {

struct Place {
  torch::DeviceType device;
  torch::Dtype dtype;
};

class TokenSteps : public ::testing::TestWithParam<Place> {
 protected:
  void SetUp() override {
    const std::string& reason = load_torch_cuda();   // before torch's first look for devices, which it remembers
    torch::manual_seed(5);
    if (GetParam().device == torch::kCPU) return;
    if (reason.empty()) return;
    const char* required = std::getenv("FOVEA_REQUIRE_GPU");
    if (required && std::string(required) == "1") FAIL() << "FOVEA_REQUIRE_GPU=1, and " << reason;
    GTEST_SKIP() << "NOT TESTED: " << reason;
  }
  static torch::TensorOptions options() { return torch::TensorOptions(GetParam().dtype).device(GetParam().device); }
  static torch::Tensor random(at::IntArrayRef shape) { return torch::randn(shape).to(options()); }

  // Memory between two zones that nobody may write to.
  struct Guarded {
    torch::Tensor all, middle;
    explicit Guarded(const torch::Tensor& content) {
      constexpr std::int64_t kZone = 64;
      all = torch::full({content.numel() + 2 * kZone}, std::numeric_limits<double>::quiet_NaN(), content.options());
      middle = all.narrow(0, kZone, content.numel()).view(content.sizes());
      middle.copy_(content);
    }
    bool zones_untouched() const {
      return all.narrow(0, 0, 64).isnan().all().item<bool>() && all.narrow(0, all.size(0) - 64, 64).isnan().all().item<bool>();
    }
  };
};

TEST_P(TokenSteps, RotateAsTheDifferentiableFormDoes) {
  constexpr std::int64_t kColumns = 13, kRows = 9, kFirst = 17, kCount = 71;
  for (const std::int64_t dim : {16, 20, 64, 128}) {
    const auto packed = random({kCount, 3, 3, dim});
    const auto everything = TokenRows{.rows = kRows, .columns = kColumns};
    const auto rotated = [&](torch::Dtype dtype) {
      const auto factors = rotary_factors(everything, dim, 100, dtype, GetParam().device).narrow(0, kFirst, kCount);
      auto result = packed.to(dtype).clone();
      for (const int part : {0, 1}) result.select(1, part).copy_(rotate(packed.select(1, part).unsqueeze(0).to(dtype), factors).squeeze(0));
      return result;
    };
    const Guarded actual(packed);
    const RotaryTables tables = rotary_tables({.grid = {kRows, kColumns}, .head_dim = dim, .base = 100, .dtype = GetParam().dtype,
                                               .device = GetParam().device});
    rotate_packed(actual.middle, kFirst, tables);
    EXPECT_TRUE(test::as_accurate_as_torch(actual.middle, {.oracle = rotated(torch::kFloat64), .torch = rotated(GetParam().dtype),
                                                           .rounding_steps = 2}))
        << "head_dim " << dim;
    EXPECT_TRUE(test::identical(actual.middle.select(1, 2), packed.select(1, 2))) << "values were changed";
    EXPECT_TRUE(actual.zones_untouched());
  }
}

TEST_P(TokenSteps, AddAndNormalise) {
  for (const std::int64_t width : {32, 36, 384, 768, 1024, 1536, 2048, 2052}) {
    constexpr std::int64_t kCount = 133;
    LayerNorm norm(width, 1e-6);
    const torch::NoGradGuard no_gradients;
    norm.weight.copy_(torch::randn({width}));
    norm.bias.copy_(torch::randn({width}));
    norm.to(GetParam().device, GetParam().dtype);
    const auto stream = random({kCount, width}) * 3 + 1, branch = random({kCount, width}), scale = random({width});
    for (const bool scaled : {true, false}) {
      const Guarded sum(stream), normalised(torch::full_like(stream, std::numeric_limits<double>::quiet_NaN()));
      add_residual_and_normalise({.stream = sum.middle, .branch = branch, .scale = scaled ? scale : torch::Tensor()},
                                 norm.normalisation(), normalised.middle);
      const auto expected_sum = [&](torch::Dtype dtype) {
        return stream.to(dtype) + (scaled ? branch.to(dtype) * scale.to(dtype) : branch.to(dtype));
      };
      EXPECT_TRUE(test::as_accurate_as_torch(sum.middle, {.oracle = expected_sum(torch::kFloat64), .torch = expected_sum(GetParam().dtype),
                                                          .rounding_steps = 1}))
          << "width " << width;
      // Of the sum as it was kept.
      const auto expected = [&](torch::Dtype dtype) {
        return torch::layer_norm(sum.middle.to(dtype), {width}, norm.weight.to(dtype), norm.bias.to(dtype), 1e-6);
      };
      EXPECT_TRUE(test::as_accurate_as_torch(normalised.middle, {.oracle = expected(torch::kFloat64), .torch = expected(GetParam().dtype),
                                                                 .rounding_steps = 4}))
          << "width " << width;
      EXPECT_TRUE(sum.zones_untouched() && normalised.zones_untouched());
    }
    const auto untouched = stream.clone();
    auto normalised = torch::empty_like(stream);
    add_residual_and_normalise({.stream = untouched, .branch = {}, .scale = {}}, norm.normalisation(), normalised);
    EXPECT_TRUE(test::identical(untouched, stream));
  }
}

TEST_P(TokenSteps, AttendFromGlobalsInPartsThatMerge) {
  const torch::Dtype wide = GetParam().dtype == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  for (const std::int64_t globals : {1, 8, 11}) {
    for (const std::int64_t dim : {20, 64}) {
      for (const std::int64_t count : {1, 31, 1024, 2500}) {
        const auto packed = random({count, 3, 2, dim});
        const auto query = torch::randn({2, globals, dim}).to(options().dtype(wide));
        const GlobalParts parts = attend_from_globals(query, packed.select(1, 1), packed.select(1, 2));
        const auto weights = (parts.lse - parts.lse.logsumexp(0, true)).exp().unsqueeze(-1);
        const auto actual = (parts.values * weights).sum(0);
        const auto expected = [&](torch::Dtype dtype) {
          const auto by_heads = [&](int part) { return packed.select(1, part).transpose(0, 1).to(dtype); };
          return torch::matmul(torch::matmul(query.to(dtype), by_heads(1).transpose(1, 2)).softmax(-1), by_heads(2));
        };
        // exp and its argument: scores of some ten.
        EXPECT_TRUE(test::as_accurate_as_torch(actual, {.oracle = expected(torch::kFloat64), .torch = expected(wide),
                                                        .rounding_steps = 40}))
            << globals << " globals, head_dim " << dim << ", " << count << " keys";
      }
    }
  }
}

std::vector<Place> places() {
  std::vector<Place> all;
  for (const torch::DeviceType device : {torch::kCPU, torch::kCUDA}) {
    for (const torch::Dtype dtype : {torch::kFloat32, torch::kBFloat16, torch::kFloat16, torch::kFloat64}) all.push_back({device, dtype});
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Places, TokenSteps, ::testing::ValuesIn(places()), [](const auto& place) {
  return std::string(place.param.device == torch::kCPU ? "cpu_" : "cuda_") + c10::toString(place.param.dtype);
});

}  // namespace
}  // namespace fovea
