#include <gtest/gtest.h>

#include <cmath>

#include "core/attention/analysis/attention_products.h"
#include "core/attention/analysis/kept_rollouts.h"
#include "core/attention/analysis/rollout.h"
#include "core/attention/torch_threads.h"
#include "core/base/error.h"
#include "tests/analysis/dense_oracle.h"

namespace fovea::analysis {
namespace {

using namespace test;

std::vector<AttentionLayer> random_layers(const OracleCase& shape, std::int64_t depth) {
  std::vector<AttentionLayer> layers;
  for (std::int64_t i = 0; i < depth; ++i) layers.push_back(random_layer(shape, 20 + i));
  return layers;
}

LayerStack stack_of(const std::vector<AttentionLayer>& layers) {
  return {static_cast<std::int64_t>(layers.size()), [&layers](std::int64_t l) { return layers.at(static_cast<std::size_t>(l)); }};
}

std::vector<at::Tensor> matrices_of(const std::vector<AttentionLayer>& layers) {
  std::vector<at::Tensor> matrices;
  for (const auto& layer : layers) matrices.push_back(dense_attention_matrix(layer));
  return matrices;
}

// B_last ... B_first, written out.
at::Tensor dense_rollout(const std::vector<at::Tensor>& matrices, const HeadChoice& heads, double share) {
  const auto identity = at::eye(matrices.front().size(1), at::kDouble);
  auto product = identity;
  for (const auto& matrix : matrices) {
    const auto mixed = share * dense_fused(matrix, heads, RowSums::kOne) + (1 - share) * identity;
    product = at::matmul(mixed, product);
  }
  return product;
}

class RolloutAgainstDense : public ::testing::TestWithParam<OracleCase> {};

TEST_P(RolloutAgainstDense, RowsAndColumns) {
  const auto layers = random_layers(GetParam(), 3);
  const auto& layer = layers.front();
  const auto token = layer.global_tokens() + layer.width() / 2;
  const auto matrices = matrices_of(layers);
  for (const auto& heads : all_choices(layer)) {
    for (const double share : {0.5, 0.8}) {
      const auto expected = dense_rollout(matrices, heads, share);
      if (!expected.isfinite().all().item<bool>()) continue;   // minimum of heads that share no key at all
      const auto at = token_map(layer, 0, layer.width() / 2);
      const auto to_input = rollout(stack_of(layers), at, {.heads = heads, .attention_share = share});
      EXPECT_LE(relative_error(as_vector(to_input), expected[token]), kRelativeBound);
      const auto from_input =
          rollout(stack_of(layers), at, {.heads = heads, .attention_share = share, .direction = RolloutDirection::kFromInput});
      EXPECT_LE(relative_error(as_vector(from_input), expected.select(1, token)), kRelativeBound);
    }
  }
}

// Paths through the grid alone: the same product of matrices without the rows and columns of global tokens.
TEST_P(RolloutAgainstDense, LocalPathsTouchNoGlobalToken) {
  const auto layers = random_layers(GetParam(), 3);
  const auto& layer = layers.front();
  const auto globals = layer.global_tokens(), cells = layer.tokens() - globals, token = layer.width() / 2;
  for (const auto& heads : all_choices(layer)) {
    auto product = at::eye(cells, at::kDouble);
    for (const auto& of_layer : layers) {
      const auto whole = dense_fused(dense_attention_matrix(of_layer), heads, RowSums::kOne);
      const auto fused = whole.narrow(0, globals, cells).narrow(1, globals, cells);
      product = at::matmul(0.7 * fused + 0.3 * at::eye(cells, at::kDouble), product);
    }
    if (!product.isfinite().all().item<bool>()) continue;   // minimum of heads that share no key at all
    const auto at = token_map(layer, 0, token);
    RolloutOptions options{.heads = heads, .attention_share = 0.7, .paths = RolloutPaths::kLocal};
    const auto to_input = rollout(stack_of(layers), at, options);
    EXPECT_LE(relative_error(to_input.dense().flatten(), product[token]), kRelativeBound);
    EXPECT_EQ(to_input.global_total(), 0);
    options.direction = RolloutDirection::kFromInput;
    const auto from_input = rollout(stack_of(layers), at, options);
    EXPECT_LE(relative_error(from_input.dense().flatten(), product.select(1, token)), kRelativeBound);
    EXPECT_EQ(from_input.global_total(), 0);
  }
}

// Against the definition on the rollout written out: the fewest tokens whose mass reaches the share.
TEST_P(RolloutAgainstDense, TheReceptiveFieldIsTheSmallestSetThatHoldsItsShare) {
  const auto layers = random_layers(GetParam(), 3);
  const auto& layer = layers.front();
  const auto globals = layer.global_tokens(), cells = layer.tokens() - globals;
  const auto whole = dense_rollout(matrices_of(layers), {}, 0.5)[globals + layer.width() / 2], expected = whole.narrow(0, globals, cells);
  const auto field = receptive_field(rollout(stack_of(layers), token_map(layer, 0, layer.width() / 2), {}), {0.5, 0.9});
  EXPECT_NEAR(field.global_mass, whole.narrow(0, 0, globals).sum().item<double>(), 1e-6);
  EXPECT_EQ(field.support_tokens, (expected > 0).sum().item<std::int64_t>());
  const auto held = std::get<0>(expected.sort(0, true)).cumsum(0);
  for (const auto& contour : field.contours) {
    const double goal = contour.share * held[-1].item<double>();
    const auto fewest = (held < goal * (1 - 1e-6)).sum().item<std::int64_t>() + 1;
    const auto most = (held < goal * (1 + 1e-6)).sum().item<std::int64_t>() + 1;
    EXPECT_GE(contour.tokens, fewest);
    EXPECT_LE(contour.tokens, most);
    const auto inside = expected.masked_select(expected >= contour.threshold * (1 - kRelativeBound));
    EXPECT_GE(inside.sum().item<double>(), goal * (1 - 1e-6));
  }
}

// Each weight is rounded to 11 bits once, where heads were fused from kept ones twice; then rows are scaled to sum to one, which is as much
// again. Rollouts are sums of products of a weight a layer, all positive: relative errors add up, and never cancel.
double kept_bound(std::size_t depth, int roundings) { return kRelativeBound + static_cast<double>(depth) * 2 * roundings * 0x1p-11; }

void expect_rollouts(const std::vector<AttentionLayer>& layers, const HeadChoice& heads, const at::Tensor& expected, double bound) {
  const auto& layer = layers.front();
  const auto token = layer.global_tokens() + layer.width() / 2;
  const auto at = token_map(layer, 0, layer.width() / 2);
  const auto to_input = rollout(stack_of(layers), at, {.heads = heads});
  EXPECT_LE(relative_error(as_vector(to_input), expected[token]), bound);
  EXPECT_NEAR(to_input.grid_total() + to_input.global_total(), expected[token].sum().item<double>(), kRelativeBound);
  const auto from_input = rollout(stack_of(layers), at, {.heads = heads, .direction = RolloutDirection::kFromInput});
  EXPECT_LE(relative_error(as_vector(from_input), expected.select(1, token)), bound);
}

TEST_P(RolloutAgainstDense, FromKeptHeads) {
  auto layers = random_layers(GetParam(), 3);
  const auto matrices = matrices_of(layers);
  std::vector<std::vector<Kept>> every_head;
  for (const auto& layer : layers) every_head.push_back(keep_every_head(layer, {}));
  for (const auto& heads : all_choices(layers.front())) {
    const auto expected = dense_rollout(matrices, heads, 0.5);
    if (!expected.isfinite().all().item<bool>()) continue;   // minimum of heads that share no key at all
    const bool one = heads.fusion == HeadFusion::kOne;
    const auto keep_with = [&](const auto& keep) {
      for (std::size_t i = 0; i < layers.size(); ++i) {
        layers[i].kept = keep(i);
        ASSERT_EQ(layers[i].kept == nullptr, kept_windows_bytes(layers[i]) == 0);
        if (!layers[i].kept) continue;
        EXPECT_LE(layers[i].kept->bytes(), kept_windows_bytes(layers[i]));   // one head may look less far than all together
        if (!one) {
          EXPECT_EQ(layers[i].kept->bytes(), kept_windows_bytes(layers[i]));
        }
      }
    };
    keep_with([&](std::size_t i) { return keep_windows(layers[i], heads, {}); });
    expect_rollouts(layers, heads, expected, kept_bound(layers.size(), 1));
    keep_with([&](std::size_t i) {
      if (every_head[i].empty()) return Kept();
      return one ? every_head[i][static_cast<std::size_t>(heads.head)] : keep_fused(layers[i], every_head[i], heads, {});
    });
    expect_rollouts(layers, heads, expected, kept_bound(layers.size(), one ? 1 : 2));
    if (!one) {
      const auto kept = rollout(stack_of(layers), token_map(layers.front(), 0, layers.front().width() / 2), {.heads = heads});
      for (std::size_t i = 0; i < layers.size(); ++i) layers[i].kept = fuse_when_read(layers[i], every_head[i], heads);
      const auto read = rollout(stack_of(layers), token_map(layers.front(), 0, layers.front().width() / 2), {.heads = heads});
      EXPECT_TRUE(at::equal(read.values, kept.values) && at::equal(read.globals, kept.globals));
      EXPECT_TRUE(layers.front().kept == nullptr || !layers.front().kept->weights.defined());
    }
    // Heads that were not kept are computed from queries and keys.
    const HeadChoice other{HeadFusion::kOne, layers.front().heads() - (one ? 1 + heads.head : 1)};
    if (other == heads) continue;
    expect_rollouts(layers, other, dense_rollout(matrices, other, 0.5), kRelativeBound);
  }
}

// What a person no longer waits for ends within a layer.
TEST_P(RolloutAgainstDense, EndsWithinALayer) {
  const auto layers = random_layers(GetParam(), 1);
  const auto& layer = layers.front();
  std::stop_source stop;
  const StoppableTorchThreads stoppable(stop.get_token());
  const auto at = token_map(layer, 0, layer.width() / 2);
  EXPECT_NO_THROW(rollout(stack_of(layers), at, {}));
  stop.request_stop();
  EXPECT_THROW(rollout(stack_of(layers), at, {}), Error);
}

class KeptHeads : public ::testing::TestWithParam<bool> {};   // dense layers

TEST_P(KeptHeads, AStopEndsTheirMaking) {
  std::stop_source stop;
  stop.request_stop();
  const auto layer = random_layers({.height = 20, .width = 24, .globals = 2, .heads = 3, .dense = GetParam()}, 1).front();
  const auto every_head = keep_every_head(layer, {});
  EXPECT_THROW(keep_windows(layer, {}, stop.get_token()), Error);
  EXPECT_THROW(keep_every_head(layer, stop.get_token()), Error);
  EXPECT_THROW(keep_fused(layer, every_head, {}, stop.get_token()), Error);
}

// What there is no room for is computed when it is asked: the mean comes first, and of other choices the last layers, where rollouts begin.
TEST_P(KeptHeads, AsManyAsTheBudgetHolds) {
  const auto layers = random_layers({.height = 20, .width = 24, .globals = 2, .heads = 3, .dense = GetParam()}, 3);
  const std::int64_t one = kept_windows_bytes(layers.front());
  const std::stop_token stop;
  NoProgress progress;
  const HeadChoice mean{}, maximum{HeadFusion::kMax}, second{HeadFusion::kOne, 1};
  const auto with_budget = [&](std::int64_t bytes) { return KeptRollouts::Request{stack_of(layers), bytes, progress, stop}; };
  const auto kept = [](const KeptRollouts& rollouts, const HeadChoice& heads) {
    std::string found;
    for (std::int64_t layer = 0; layer < 3; ++layer) found += rollouts.holds(layer, heads) ? '+' : '-';
    return found;
  };
  KeptRollouts all;
  all.keep_first(with_budget(3 * 5 * one));   // three heads, their mean, room for one more
  EXPECT_TRUE(all.has_every_head());
  EXPECT_EQ(kept(all, mean) + kept(all, second) + kept(all, maximum), "++++++---");
  EXPECT_NE(all.find(layers.front(), 0, maximum), nullptr);   // made when it is read
  all.keep(second, with_budget(3 * 5 * one));
  EXPECT_LE(all.bytes(), 3 * 4 * one);
  all.keep(maximum, with_budget(3 * 5 * one));
  EXPECT_EQ(kept(all, maximum), "+++");
  EXPECT_LE(all.bytes(), 3 * 5 * one);

  KeptRollouts few;
  few.keep_first(with_budget(3 * 5 * one - 1));
  EXPECT_FALSE(few.has_every_head());
  EXPECT_EQ(kept(few, mean) + kept(few, second), "+++---");
  few.keep(second, with_budget(5 * one));
  EXPECT_EQ(kept(few, mean) + kept(few, second), "+++-++");
  few.keep(maximum, with_budget(6 * one));
  EXPECT_EQ(kept(few, mean) + kept(few, second) + kept(few, maximum), "+++---+++");
  KeptRollouts none;
  none.keep_first(with_budget(one - 1));
  EXPECT_EQ(kept(none, mean), "---");
}

INSTANTIATE_TEST_SUITE_P(Layers, KeptHeads, ::testing::Bool());
INSTANTIATE_TEST_SUITE_P(Shapes, RolloutAgainstDense, ::testing::ValuesIn(oracle_cases()));

TEST(Rollout, OfGlobalTokens) {
  for (const auto& shape : oracle_cases()) {
    if (shape.globals == 0) continue;
    const auto layers = random_layers(shape, 2);
    const auto expected = dense_rollout(matrices_of(layers), {}, 0.5);
    EXPECT_LE(relative_error(as_vector(rollout(stack_of(layers), global_map(layers.front(), 0), {})), expected[0]), kRelativeBound)
        << shape.name();
  }
}

TEST(Rollout, HybridLayersAndSingleLayers) {
  const OracleCase window{.height = 12, .width = 14, .globals = 1, .heads = 2},
      dense{.height = 12, .width = 14, .globals = 1, .heads = 2, .dense = true};
  const std::vector<AttentionLayer> layers{random_layer(window, 1), random_layer(dense, 2), random_layer(window, 3)};
  const auto start = token_map(layers[0], 5, 6);
  EXPECT_LE(relative_error(as_vector(rollout(stack_of(layers), start, {})), dense_rollout(matrices_of(layers), {}, 0.5)[1 + 5 * 14 + 6]),
            kRelativeBound);
  const auto one = rollout(stack_of(layers), start, {.attention_share = 1.0, .first_layer = 1, .last_layer = 1});
  EXPECT_LE(relative_error(as_vector(one), dense_attention_matrix(layers[1]).mean(0)[1 + 5 * 14 + 6]), kRelativeBound);
}

TEST(Rollout, SupportGrowsByTheWindowALayer) {
  const auto layers = random_layers({.height = 60, .width = 60, .window = {5, 7}}, 3);
  const auto result = rollout(stack_of(layers), token_map(layers[0], 30, 20), {});
  EXPECT_EQ(result.support, (GridRect{24, 11, 13, 19}));
  const auto field = receptive_field(result);
  EXPECT_EQ(field.bounds, result.support);
  EXPECT_EQ(field.support_tokens, 13 * 19);
}

TEST(Rollout, BadQuestionsAreOneSentence) {
  const auto layers = random_layers({.height = 4, .width = 4}, 2);
  const auto message = [&](const RolloutOptions& options) -> std::string {
    try { rollout(stack_of(layers), token_map(layers[0], 0, 0), options); } catch (const Error& error) { return error.what(); }
    return "no error";
  };
  EXPECT_EQ(message({.last_layer = 2}), "layer 2 does not exist: the model has layers 0 to 1");
  EXPECT_EQ(message({.first_layer = 1, .last_layer = 0}), "the first layer of a rollout must not lie above its last");
  EXPECT_EQ(message({.attention_share = 1.5}), "the share of attention must lie in 0 ... 1");
  const auto with_global = random_layers({.height = 4, .width = 4, .globals = 1}, 2);
  EXPECT_THROW(rollout(stack_of(with_global), global_map(with_global[0], 0), {.paths = RolloutPaths::kLocal}), Error);
}

TEST(ReceptiveField, ContoursHoldTheirShare) {
  auto layer = random_layer({.height = 10, .width = 10, .globals = 1}, 1);
  auto map = box_map(layer, {2, 3, 1, 4});
  map.values = at::tensor({0.1f, 0.4f, 0.2f, 0.1f}).view({1, 4});
  map.globals[0] = 0.2f;
  const auto field = receptive_field(map, {0.5, 0.9});
  EXPECT_NEAR(field.global_mass, 0.2, 1e-6);
  ASSERT_EQ(field.contours.size(), 2u);
  EXPECT_EQ(field.contours[0].tokens, 1);                     // 0.4 of 0.8
  EXPECT_EQ(field.contours[1].tokens, 4);                     // 0.4 + 0.2 = 0.75 of it; both tokens of 0.1 are equal
  EXPECT_NEAR(field.contours[0].radius, std::sqrt(1 / M_PI), 1e-12);
}

}  // namespace
}  // namespace fovea::analysis
