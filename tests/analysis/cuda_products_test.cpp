// Attention analysis on a GPU against the dense matrix in float64: skips without one, fails under FOVEA_REQUIRE_GPU=1.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "core/attention/analysis/attention_products.h"
#include "core/attention/analysis/cuda_products.h"
#include "core/attention/analysis/rollout.h"
#include "core/attention/analysis/rows.h"
#include "core/base/torch_runtime.h"
#include "tests/analysis/dense_oracle.h"

namespace fovea::analysis {
namespace {

using namespace test;

AttentionLayer on_gpu(const AttentionLayer& layer) {
  auto moved = layer;
  moved.query = layer.query.cuda(), moved.key = layer.key.cuda();
  return moved;
}

TokenMap on_gpu(const TokenMap& map) {
  auto moved = map;
  moved.values = map.values.cuda(), moved.globals = map.globals.cuda();
  return moved;
}

at::Tensor on_cpu(const TokenMap& map) { return as_vector(map).cpu(); }

// Before any other test: torch looks for CUDA once, when it is first asked for anything of it.
class LoadCudaFirst : public ::testing::Environment {
 public:
  void SetUp() override { load_torch_cuda(); }
};
const auto* const load_cuda_first = ::testing::AddGlobalTestEnvironment(new LoadCudaFirst);

class OnGpu : public ::testing::TestWithParam<OracleCase> {
 protected:
  void SetUp() override {
    const auto reason = load_torch_cuda();
    if (reason.empty()) return;
    const char* required = std::getenv("FOVEA_REQUIRE_GPU");
    if (required && std::string(required) == "1") FAIL() << "FOVEA_REQUIRE_GPU=1, and " << reason;
    GTEST_SKIP() << "no GPU: " << reason;
  }
};

TEST_P(OnGpu, KernelsRunWhatTheySayTheyDo) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const auto layer = on_gpu(random_layer(GetParam(), 1, dtype));
    const auto depth = GetParam().head_dim;
    const bool possible = !layer.dense() && (depth == 32 || depth == 64 || (depth == 128 && dtype != at::kFloat));
    EXPECT_EQ(cuda_products::runs(layer, {}), possible);
    const auto& dilations = layer.pattern.dilation;
    const bool alike = std::all_of(dilations.begin(), dilations.end(), [&](auto d) { return d == dilations.front(); });
    for (const auto fusion : {HeadFusion::kMax, HeadFusion::kMin}) EXPECT_EQ(cuda_products::runs(layer, {fusion}), possible && alike);
  }
}

TEST_P(OnGpu, ProductsEqualTheDenseMatrix) {
  for (const auto dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const auto host = random_layer(GetParam(), 4, dtype);
    auto layer = on_gpu(host);
    const auto matrix = dense_attention_matrix(host);
    const GridRect part{host.height() / 3, host.width() / 4, (host.height() + 2) / 3, (host.width() + 1) / 2};
    for (const bool known_lse : {false, true}) {
      if (known_lse) add_lse(layer);
      for (const auto& rect : {host.grid_rect(), part}) {
        for (const bool with_globals : {true, false}) {
          auto map = random_map(host, rect);
          if (!with_globals) map.globals.zero_();
          for (const auto& heads : all_choices(host)) {
            for (const auto sums : {RowSums::kAsFused, RowSums::kOne}) {
              const auto fused = dense_fused(matrix, heads, sums);
              const auto left = times_attention(on_gpu(map), layer, heads, sums);
              EXPECT_LE(relative_error(on_cpu(left), at::mv(fused.t(), as_vector(map))), kRelativeBound) << "r A " << dtype;
              const auto right = attention_times(layer, on_gpu(map), heads, sums);
              EXPECT_LE(relative_error(on_cpu(right), at::mv(fused, as_vector(map))), kRelativeBound) << "A c " << dtype;
            }
          }
        }
      }
    }
  }
}

TEST_P(OnGpu, RowsAndColumnsOfATokenAndOfAGlobal) {
  const auto host = random_layer(GetParam(), 3, at::kBFloat16);
  const auto layer = on_gpu(host);
  const auto matrix = dense_attention_matrix(host);
  const auto y = host.height() - 1, x = host.width() / 2, place = host.global_tokens() + y * host.width() + x;
  for (const auto& heads : all_choices(host)) {
    const auto fused = dense_fused(matrix, heads, RowSums::kAsFused);
    EXPECT_LE(relative_error(on_cpu(row(layer, token_map(layer, y, x), heads)), fused[place]), kRelativeBound);
    EXPECT_LE(relative_error(on_cpu(column(layer, token_map(layer, y, x), heads)), fused.select(1, place)), kRelativeBound);
    for (std::int64_t g = 0; g < host.global_tokens(); g += 3) {
      EXPECT_LE(relative_error(on_cpu(row(layer, global_map(layer, g), heads)), fused[g]), kRelativeBound);
      EXPECT_LE(relative_error(on_cpu(column(layer, global_map(layer, g), heads)), fused.select(1, g)), kRelativeBound);
    }
  }
}

TEST_P(OnGpu, RolloutsEqualTheProductOfMatrices) {
  constexpr std::int64_t kLayers = 3;
  std::vector<AttentionLayer> layers;
  std::vector<at::Tensor> matrices;
  for (std::int64_t i = 0; i < kLayers; ++i) {
    const auto host = random_layer(GetParam(), 20 + i, at::kBFloat16);
    layers.push_back(on_gpu(host));
    matrices.push_back(dense_attention_matrix(host));
  }
  const LayerStack stack{kLayers, [&](std::int64_t l) { return layers.at(static_cast<std::size_t>(l)); }};
  const auto& layer = layers.front();
  const auto place = layer.global_tokens() + layer.width() / 2;
  const auto at = token_map(layer, 0, layer.width() / 2);
  for (const auto& heads : all_choices(layer)) {
    at::Tensor expected;
    for (const auto& matrix : matrices) {
      const auto mixed = 0.5 * dense_fused(matrix, heads, RowSums::kOne) + 0.5 * at::eye(matrix.size(1), at::kDouble);
      expected = expected.defined() ? at::matmul(mixed, expected) : mixed;
    }
    EXPECT_LE(relative_error(on_cpu(rollout(stack, at, {.heads = heads})), expected[place]), kRelativeBound);
    EXPECT_LE(relative_error(on_cpu(rollout(stack, at, {.heads = heads, .direction = RolloutDirection::kFromInput})),
                             expected.select(1, place)), kRelativeBound);
  }
}

TEST_P(OnGpu, StatisticsAreThoseOfTheCpu) {
  const auto host = random_layer(GetParam(), 6);
  const auto cpu = row_statistics(host, host.grid_rect()), gpu = row_statistics(on_gpu(host), host.grid_rect());
  EXPECT_LE(relative_error(gpu.lse.cpu().exp(), cpu.lse.to(at::kDouble).exp()), kRelativeBound);
  EXPECT_LE(relative_error(gpu.global_mass.cpu(), cpu.global_mass), kRelativeBound);
  EXPECT_LE(relative_error(gpu.mean_distance.cpu(), cpu.mean_distance), kRelativeBound);
  const auto entropy_error = (gpu.entropy.cpu() - cpu.entropy).abs() / cpu.entropy.clamp_min(0.1);
  EXPECT_LE(entropy_error.max().item<double>(), kRelativeBound);
}

TEST_P(OnGpu, TwoRunsGiveTheSameBits) {
  const auto layer = on_gpu(random_layer(GetParam(), 7, at::kBFloat16));
  const auto map = on_gpu(random_map(random_layer(GetParam(), 7), layer.grid_rect()));
  for (const auto& heads : all_choices(layer)) {
    const auto answer = [&] { return on_cpu(times_attention(map, layer, heads, RowSums::kOne)); };
    EXPECT_TRUE(at::equal(answer(), answer()));
  }
}

std::vector<OracleCase> gpu_cases() {
  auto cases = oracle_cases();
  cases.push_back({.height = 70, .width = 61, .globals = 64, .heads = 3, .head_dim = 128, .window = {9, 17}, .dilation = {1, 2, 1}});
  cases.push_back({.height = 40, .width = 57, .globals = 17, .heads = 2, .head_dim = 64, .window = {33, 5}, .dilation = {3}});
  cases.push_back({.height = 50, .width = 37, .globals = 33, .heads = 3, .head_dim = 128, .window = {9, 17}, .dilation = {2}});
  cases.push_back({.height = 48, .width = 40, .globals = 8, .heads = 6, .head_dim = 64, .window = {17, 17}});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Shapes, OnGpu, ::testing::ValuesIn(gpu_cases()));

}  // namespace
}  // namespace fovea::analysis
