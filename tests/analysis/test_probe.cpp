#include <gtest/gtest.h>

#include <cmath>

#include "core/attention/analysis/probe.h"
#include "core/attention/analysis/probe_region.h"
#include "core/attention/analysis/query.h"
#include "core/attention/analysis/rollout.h"
#include "core/attention/analysis/rows.h"
#include "core/base/error.h"
#include "tests/analysis/dense_oracle.h"

namespace fovea::analysis {
namespace {

using namespace test;

constexpr std::int64_t kPatch = 4;

ModelConfig small_config(std::int64_t globals, bool dense) {
  ModelConfig config;
  config.name = "small";
  auto& encoder = config.encoder;
  encoder.width = 32, encoder.depth = 3, encoder.heads = 2, encoder.mlp_width = 64, encoder.patch = kPatch;
  encoder.global_tokens = globals;
  encoder.positions = Positions::kRope;
  config.encoder.attention.assign(3, {.dense = dense, .window = {3, 5}, .dilation = {1}});
  config.decoder = DecoderConfig{.layers = {2, 3}, .width = 8, .stem_width = 8};
  config.classes = {{"land", {0, 0, 0}}, {"road", {255, 0, 0}}, {"roof", {0, 255, 0}}};
  return config;
}

// Weights large enough that attention is not nearly uniform.
std::shared_ptr<SegmentationModel> small_model(std::int64_t globals, bool dense = false) {
  torch::manual_seed(5);
  auto model = std::make_shared<SegmentationModel>(small_config(globals, dense));
  torch::NoGradGuard no_grad;
  for (auto& item : model->encoder().named_parameters()) {
    if (item.key().ends_with("qkv.weight")) item.value().mul_(12);
  }
  model->eval();
  return model;
}

torch::Tensor image(std::int64_t height, std::int64_t width) {
  torch::manual_seed(6);
  return torch::randint(0, 256, {3, height, width}, torch::kUInt8);
}

AttentionProbe probe_of(const std::shared_ptr<SegmentationModel>& model, const torch::Tensor& rgb) {
  NoProgress progress;
  return AttentionProbe(model, rgb, "test", progress, {});
}

std::string message_of(const std::function<void()>& action) {
  try { action(); } catch (const Error& error) { return error.what(); }
  return "no error";
}

TEST(Probe, SeesTheEncodersOwnFeatures) {
  const auto model = small_model(2);
  auto probe = probe_of(model, image(37, 50));
  torch::NoGradGuard no_grad;
  const std::vector<std::int64_t> layers{1, 3};
  const auto inferred = model->encoder().forward(model->preprocess(image(37, 50).unsqueeze(0)), layers);
  // Inference in place fuses steps and so rounds otherwise: features of unit variance agree to a few roundings a layer.
  EXPECT_LT((probe.features(0) - inferred[0][0]).abs().max().item<float>(), 2e-5F);
  EXPECT_LT((probe.features(2) - inferred[1][0]).abs().max().item<float>(), 2e-5F);
  EXPECT_EQ(probe.grid(), (std::array<std::int64_t, 2>{10, 13}));
}

// Rows times values is what the model's own attention gives.
TEST(Probe, RowsAreThoseThatTheModelUsed) {
  for (const bool dense : {false, true}) {
    const auto model = small_model(2, dense);
    auto probe = probe_of(model, image(32, 48));
    torch::NoGradGuard no_grad;
    const TokenRows tokens{.global_tokens = 2, .first_row = 0, .rows = 8, .columns = 12};
    const auto x = model->encoder().tokenize(model->preprocess(image(32, 48).unsqueeze(0)));
    const auto qkv = model->encoder().block(0).project_qkv(x, tokens);
    const auto attended = model->encoder().block(0).attend(qkv, tokens)[0].to(torch::kDouble);   // [N, heads, D]
    for (std::int64_t head = 0; head < 2; ++head) {
      const auto values = probe.values(0).select(1, head).to(torch::kDouble);
      const auto weights = as_vector(row(probe.layer(0), token_map(probe.layer(0), 3, 5), {HeadFusion::kOne, head}));
      const auto expected = torch::matmul(dense_attention_matrix(probe.layer(0))[head], values);
      const auto own = attended.select(1, head);
      // The oracle for both: the probe may be as far from float64 as the model is, and no further than twice that.
      const auto scale = values.abs().max().item<double>();
      const auto bound = 2 * (own - expected).abs().max().item<double>() + std::numeric_limits<float>::epsilon() * scale;
      EXPECT_LE((torch::matmul(weights, values) - expected[2 + 3 * 12 + 5]).abs().max().item<double>(), bound);
    }
  }
}

TEST(Probe, ARegionWithItsHaloIsExactWithoutGlobals) {
  const auto model = small_model(0);
  const auto rgb = image(120, 160);
  const auto halo = halo_tokens(model->config().encoder);
  EXPECT_EQ(halo, (std::array<std::int64_t, 2>{3, 6}));
  EXPECT_EQ(region_caveat(model->config().encoder), "");
  auto whole = probe_of(model, rgb);
  const std::int64_t top = 12 - halo[0], left = 20 - halo[1];                     // the region is the token (12, 20)
  auto part = probe_of(model, rgb.narrow(1, top * kPatch, (2 * halo[0] + 1) * kPatch).narrow(2, left * kPatch, (2 * halo[1] + 1) * kPatch));
  const auto expected = rollout(whole.stack(), token_map(whole.layer(0), 12, 20), {}).dense();
  const auto result = rollout(part.stack(), token_map(part.layer(0), 12 - top, 20 - left), {}).dense();
  const auto cut = expected.narrow(0, top, 2 * halo[0] + 1).narrow(1, left, 2 * halo[1] + 1);
  EXPECT_EQ(expected.sum(torch::kDouble).item<double>(), cut.sum(torch::kDouble).item<double>());   // nothing lies outside
  EXPECT_LE(relative_error(result, cut), 1e-4);   // two runs of an encoder in float32, rotated by other angles
}

ImageRows rows_of(const torch::Tensor& rgb) {
  return {.height = rgb.size(1), .width = rgb.size(2), .read = [rgb](std::int64_t y, std::int64_t rows) { return rgb.narrow(1, y, rows); }};
}

TEST(Probe, TheGlobalPassIsTheWholeImages) {
  const auto model = small_model(3);
  const auto rgb = image(118, 161);   // no multiples of the patch
  auto whole = probe_of(model, rgb);
  NoProgress progress;
  const auto states = global_states(*model, rows_of(rgb), progress, {});
  ASSERT_EQ(states.inputs.size(), 4u);
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    const auto l = static_cast<std::size_t>(layer);
    const auto own = whole.raw_features(layer).narrow(0, 0, 3).to(torch::kDouble);
    EXPECT_LE(relative_error(states.inputs[l + 1][0].to(torch::kDouble), own), 1e-3);
    EXPECT_LE((states.lse[l] - whole.layer(layer).lse.narrow(1, 0, 3)).abs().max().item<double>(), 1e-4);
  }
}

// With the whole image's global tokens: every row, column and feature of the region is the whole image's.
TEST(Probe, ARegionWithItsHaloIsExactWithTheWholeImagesGlobals) {
  const auto model = small_model(2);
  const auto rgb = image(120, 160);
  const auto halo = halo_tokens(model->config().encoder);
  EXPECT_EQ(region_caveat(model->config().encoder, GlobalsFrom::kWholeImage), "");
  auto whole = probe_of(model, rgb);
  NoProgress progress;
  const auto states = std::make_shared<const GlobalStates>(global_states(*model, rows_of(rgb), progress, {}));
  const std::int64_t top = 12 - 2 * halo[0], left = 20 - 2 * halo[1], rows = 4 * halo[0] + 1, columns = 4 * halo[1] + 1;
  const auto cut = rgb.narrow(1, top * kPatch, rows * kPatch).narrow(2, left * kPatch, std::min(columns * kPatch, 160 - left * kPatch));
  const ProbeRegion region{.rgb = cut, .name = "region", .row = top, .column = left, .globals = states};
  AttentionProbe part(model, region, progress, {});
  auto alone = probe_of(model, cut);
  const auto compare = [&](AttentionProbe& probe) {   // the worst of rows, columns and features of the token (12, 20)
    double worst = 0;
    for (std::int64_t l = 0; l < 3; ++l) {
      const auto expected = whole.layer(l), own = probe.layer(l);
      const auto there = token_map(expected, 12, 20), here = token_map(own, 12 - top, 20 - left);
      const auto both_rows = std::pair{row(own, here, {}), row(expected, there, {})};
      const auto both_columns = std::pair{column(own, here, {}), column(expected, there, {})};
      for (const auto& [a, b] : {both_rows, both_columns}) {
        worst = std::max({worst, relative_error(a.values, b.values), relative_error(a.globals, b.globals)});
      }
      const auto& at = probe.features(l)[2 + (12 - top) * probe.grid()[1] + 20 - left];
      worst = std::max(worst, ((at - whole.features(l)[2 + 12 * 40 + 20]).norm() / at.norm()).item<double>());
    }
    return worst;
  };
  EXPECT_LE(compare(part), 1e-3);    // two runs of an encoder in float32, attention of weights twelve times as large
  EXPECT_GT(compare(alone), 1e-2);   // what it would be without
}

TEST(Probe, RegionsThatAreNotExactSayWhy) {
  auto config = small_config(1, false).encoder;
  EXPECT_EQ(region_caveat(config), "global tokens saw the region and its halo alone");
  config.attention[1].dense = true;
  EXPECT_EQ(region_caveat(config), "dense layers saw the region alone");
  config = small_config(0, false).encoder;
  config.positions = Positions::kLearned;
  EXPECT_EQ(region_caveat(config), "learned positions are those of an image of the region's size");
}

TEST(Probe, ItsOwnPatternChangesNothingAndAnotherDoes) {
  const auto model = small_model(1);
  auto probe = probe_of(model, image(48, 48));
  const auto same = probe.pattern_effect(model->config().encoder.attention);
  EXPECT_NEAR(same.mean_cosine, 1.0, 1e-6);
  EXPECT_EQ(same.changed_share, 0);
  const auto other = probe.pattern_effect(std::vector<LayerAttention>(3, {.dense = true}));
  EXPECT_LT(other.mean_cosine, 1.0 - 1e-4);
}

TEST(Probe, FewerGlobalTokensAreAPatternToo) {
  const auto model = small_model(3);
  auto probe = probe_of(model, image(48, 48));
  const auto& attention = model->config().encoder.attention;
  EXPECT_NEAR(probe.pattern_effect(attention, 3).mean_cosine, 1.0, 1e-6);
  const auto fewer = probe.pattern_effect(attention, 1), none = probe.pattern_effect(attention, 0);
  EXPECT_LT(fewer.mean_cosine, 1.0 - 1e-6);
  EXPECT_LT(none.mean_cosine, fewer.mean_cosine);
  EXPECT_EQ(model->encoder().global_tokens(1).size(1), 3);   // the model itself is as it was
  EXPECT_EQ(message_of([&] { probe.pattern_effect(attention, 4); }), "4 global tokens: the model has 3");
}

TEST(Probe, TooLargeSaysWhatWouldFit) {
  const auto model = small_model(0);
  const auto message = message_of([&] { require_fits(*model, std::int64_t{1} << 50, "huge.tif"); });
  EXPECT_TRUE(message.starts_with("huge.tif: layers of 1125899906842624 tokens need ")) << message;
  EXPECT_TRUE(message.ends_with(" pixels would fit")) << message;
  const auto side = largest_side_that_fits(model->config().encoder, 1 << 30, torch::kFloat32);
  EXPECT_EQ(side % kPatch, 0);
  EXPECT_LE(probe_bytes(model->config().encoder, side / kPatch * (side / kPatch), torch::kFloat32), 1 << 30);
}

TEST(Query, EveryMethodAnswersAndItsNumbersMakeSense) {
  for (const bool dense : {false, true}) {
    auto probe = probe_of(small_model(2, dense), image(40, 64));
    for (const auto& info : methods()) {
      Query query{.method = info.method, .window = 3};
      query.tokens.box = GridRect{4, 7, 2, 3};
      NoProgress progress;
      const auto result = answer(probe, query, progress, {});
      if (info.method == Method::kPca) {
        EXPECT_EQ(result.rgb.sizes(), (std::vector<std::int64_t>{10, 16, 3}));
        continue;
      }
      ASSERT_EQ(result.plane.sizes(), (std::vector<std::int64_t>{10, 16})) << info.name;
      const bool all = result.plane.isfinite().all().item<bool>();   // a field has no number where nothing reaches
      EXPECT_TRUE(info.method == Method::kField ? result.plane.isfinite().any().item<bool>() : all) << info.name;
      EXPECT_EQ(result.asked.defined(), info.needs_tokens) << info.name;
      if (result.asked.defined()) {
        EXPECT_EQ(result.asked.sum().item<std::int64_t>(), 6) << info.name;
      }
      if (result.bounds) {
        const auto values = result.plane.nan_to_num((*result.bounds)[0]);
        EXPECT_GE(values.min().item<double>(), (*result.bounds)[0] - 1e-6) << info.name;
        EXPECT_LE(values.max().item<double>(), (*result.bounds)[1] + 1e-6) << info.name;
      }
      EXPECT_FALSE(result.unit.empty()) << info.name;
      if (info.method == Method::kRow || info.method == Method::kRollout) {
        EXPECT_NEAR(result.numbers["grid_total"].get<double>() + result.numbers["global_total"].get<double>(), 1.0, 1e-6) << info.name;
      }
    }
  }
}

TEST(Query, AFieldTellsTheShareHeldByTokensAsStrong) {
  auto probe = probe_of(small_model(2), image(40, 64));
  NoProgress progress;
  Query query{.method = Method::kRollout};
  query.tokens.box = GridRect{4, 7, 1, 1};
  const auto rollout = answer(probe, query, progress, {});
  query.method = Method::kField;
  const auto field = answer(probe, query, progress, {});
  const auto mass = rollout.plane.to(torch::kDouble).flatten(), share = field.plane.flatten();
  for (std::int64_t token = 0; token < 160; token += 7) {
    const auto held = mass.masked_select(mass >= mass[token]).sum() / mass.sum();
    EXPECT_NEAR(share[token].item<double>(), held.item<double>(), 1e-5);
  }
  ASSERT_EQ(field.outlines.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto inside = field.outlines[i].inside.flatten();
    const double wanted = i == 0 ? 0.5 : 0.9, all = mass.sum().item<double>();
    const auto kept = mass.masked_select(inside);
    EXPECT_GE(kept.sum().item<double>() / all, wanted - 1e-6);
    EXPECT_LT((kept.sum() - kept.min()).item<double>() / all, wanted);                    // no smaller set does
    EXPECT_EQ(inside.sum().item<std::int64_t>(), field.numbers["field"]["contours"][i]["tokens"]);
  }
}

TEST(Query, HowMuchPassesThroughGlobalTokensIsCounted) {
  auto probe = probe_of(small_model(2), image(40, 64));
  NoProgress progress;
  Query query{.method = Method::kRollout, .count_paths = true};
  query.tokens.box = GridRect{4, 7, 1, 1};
  const auto all = answer(probe, query, progress, {});
  query.paths = RolloutPaths::kLocal;
  const auto local = answer(probe, query, progress, {});
  const double through = all.numbers["through_globals"];
  EXPECT_GT(through, 1e-3);
  EXPECT_NEAR(through, 1 - local.numbers["grid_total"].get<double>(), 1e-6);
  EXPECT_GE(through, all.numbers["global_total"].get<double>() - 1e-6);   // what ends on them passed through them
  EXPECT_TRUE((local.plane <= all.plane + 1e-7).all().item<bool>());
}

TEST(Query, DistancesAreInTokensPixelsAndMetres) {
  auto config = small_config(1, false);
  config.preprocessing.ground_sampling_distance_m = {0.25, 0.25};
  torch::manual_seed(5);
  const auto model = std::make_shared<SegmentationModel>(config);
  model->eval();
  auto probe = probe_of(model, image(40, 64));
  NoProgress progress;
  Query query{.method = Method::kDistance, .layer = 0};
  const auto of_model = answer(probe, query, progress, {});
  query.pixel_metres = 2.0;
  const auto of_image = answer(probe, query, progress, {});
  for (std::size_t head = 0; head < 2; ++head) {
    const double tokens = of_model.numbers["distance_tokens_by_head"][head];
    EXPECT_NEAR(of_model.numbers["distance_pixels_by_head"][head].get<double>(), 4 * tokens, 1e-9);
    EXPECT_NEAR(of_model.numbers["distance_metres_by_head"][head].get<double>(), tokens, 1e-9);      // 4 pixels of 0.25 m
    EXPECT_NEAR(of_image.numbers["distance_metres_by_head"][head].get<double>(), 8 * tokens, 1e-9);
    EXPECT_NEAR(of_model.numbers["distance_bound_pixels_by_head"][head].get<double>(), 4 * std::hypot(1, 2), 1e-9);
    EXPECT_LT(tokens, std::hypot(1, 2));
  }
  EXPECT_EQ(of_model.numbers["pixel_metres_from"], "model");
  EXPECT_EQ(of_image.numbers["pixel_metres_from"], "image");
  EXPECT_NEAR(of_model.plane.mean().item<double>(),
              (of_model.numbers["distance_pixels_by_head"][0].get<double>() + of_model.numbers["distance_pixels_by_head"][1].get<double>()) / 2, 1e-4);
}

TEST(Query, ChangedClassesAreCountedTokenByToken) {
  const auto model = small_model(1);
  auto probe = probe_of(model, image(42, 50));   // no multiples of the patch
  NoProgress progress;
  const auto result = answer(probe, {.method = Method::kChanged, .window = 1}, progress, {});
  const auto effect = probe.pattern_effect(std::vector<LayerAttention>(3, {.dense = false, .window = {1, 1}, .dilation = {1}}));
  ASSERT_EQ(result.plane.sizes(), (std::vector<std::int64_t>{11, 13}));
  const auto changed = effect.changed.to(torch::kFloat);
  EXPECT_GT(changed.sum().item<double>(), 0);
  EXPECT_NEAR(result.plane[3][4].item<double>(), changed.narrow(0, 12, 4).narrow(1, 16, 4).mean().item<double>(), 1e-6);
  EXPECT_NEAR(result.plane[10][12].item<double>(), changed.narrow(0, 40, 2).narrow(1, 48, 2).mean().item<double>(), 1e-6);
  const auto own = answer(probe, {.method = Method::kChanged, .window = 99, .dense_layers = {{0, 1, 2}}}, progress, {});
  EXPECT_GE(own.plane.min().item<double>(), 0);
}

TEST(Query, HeuristicsAreNamed) {
  EXPECT_TRUE(heuristics_of({.method = Method::kRow}).empty());
  EXPECT_EQ(heuristics_of({.method = Method::kRow, .heads = {HeadFusion::kMax, 0}}).size(), 1u);
  EXPECT_EQ(heuristics_of({.method = Method::kRollout}).size(), 2u);
  EXPECT_EQ(heuristics_of({.method = Method::kRollout, .heads = {HeadFusion::kOne, 1}}).size(), 1u);
}

TEST(Query, ADiscIsABrush) {
  auto probe = probe_of(small_model(0), image(40, 64));
  Query query{.method = Method::kRow};
  query.tokens = {.box = GridRect{5, 8, 1, 1}, .disc_radius = 1.0};               // the token and its four neighbours
  NoProgress progress;
  const auto result = answer(probe, query, progress, {});
  const auto& layer = probe.layer(2);
  const auto expected = row(layer, brush_map(layer, {{5, 8}, {4, 8}, {6, 8}, {5, 7}, {5, 9}}), {}).dense();
  EXPECT_TRUE(torch::equal(result.plane, expected));
  query.tokens = {.brush = {{5, 8}, {4, 8}, {6, 8}, {5, 7}, {5, 9}}};
  EXPECT_TRUE(torch::equal(answer(probe, query, progress, {}).plane, expected));
}

TEST(Query, BadQuestionsAreOneSentence) {
  auto probe = probe_of(small_model(1), image(16, 16));
  NoProgress progress;
  const auto ask = [&](Query query) { return message_of([&] { answer(probe, query, progress, {}); }); };
  EXPECT_EQ(ask({.method = Method::kRow}), "method row asks about tokens: choose some with a place, a box or a global token");
  EXPECT_EQ(ask({.method = Method::kEntropy, .layer = 3}), "layer 3 does not exist: the model has layers 0 to 2");
  EXPECT_EQ(ask({.method = Method::kEntropy, .heads = {HeadFusion::kOne, 2}}), "head 2 does not exist: the layer has heads 0 to 1");
  EXPECT_EQ(ask({.method = Method::kKeptMass, .window = 4}), "window 4: must be odd and positive");
  EXPECT_EQ(ask({.method = Method::kKeptMass, .kept_globals = 2}), "2 global tokens: the model has 1");
  EXPECT_EQ(ask({.method = Method::kPattern, .dense_layers = {{3}}}), "layer 3 does not exist: the model has layers 0 to 2");
  auto backbone = small_config(1, false);
  backbone.decoder.reset(), backbone.classes.clear();
  EXPECT_EQ(message_of([&] { check_query({.method = Method::kChanged}, backbone); }),
            "method changed compares predicted classes: this model is a backbone and predicts none");
  EXPECT_EQ(message_of([&] { check_query({.method = Method::kNormWeighted, .heads = {HeadFusion::kMax, 0}}, backbone); }),
            "norm-weighted attention is defined for one head or for all together (mean)");
  Query local{.method = Method::kRollout, .paths = RolloutPaths::kLocal};
  local.tokens.global_token = 0;
  EXPECT_EQ(ask(local), "local paths begin at tokens of the grid, not at a global token");
  EXPECT_EQ(message_of([] { parse_heads("first"); }), "head 'first', expected a number, mean, max or min");
  EXPECT_TRUE(message_of([] { parse_method("look"); }).starts_with("method 'look', expected row, column, rollout"));
}

}  // namespace
}  // namespace fovea::analysis
