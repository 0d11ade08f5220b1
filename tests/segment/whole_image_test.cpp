// Whole-image inference by bands gives what the forward pass of the whole image in one piece gives.
#include <gtest/gtest.h>

#include "core/segment/global_softmax.h"
#include "core/segment/whole_image.h"
#include "tests/segment/segment_test_support.h"
#include "tests/support/comparator.h"

namespace fovea {
namespace {

using test::CollectingSink;
using test::MemorySource;
using test::ModelShape;

constexpr std::int64_t kWidth = 117, kHeight = 83;   // no multiples of the patch: 15 x 11 tokens

torch::Tensor banded_logits(MemorySource& source, SegmentationModel& model, const WholeImageBands& bands) {
  std::vector<torch::Tensor> parts;
  const WholeImageCallbacks callbacks{.logits = [&](const torch::Tensor& logits) { parts.push_back(logits.clone()); }, .progress = [](double) {}};
  infer_whole_image(source, model, bands, callbacks, {});
  return torch::cat(parts, 1);
}

torch::Tensor one_piece(MemorySource& source, SegmentationModel& model) {
  const torch::InferenceMode no_gradients;
  return model.forward(source.tensor())[0];
}

struct Case {
  std::int64_t global_tokens;
  std::vector<std::int64_t> dilation;
  std::int64_t encoder_rows, decoder_rows;
};

class WholeImage : public ::testing::TestWithParam<Case> {};

TEST_P(WholeImage, EqualsTheForwardPassInOnePiece) {
  const Case& param = GetParam();
  const auto model = test::small_model({.global_tokens = param.global_tokens, .dilation = param.dilation});
  MemorySource source(test::sample_image(kWidth, kHeight));
  const auto expected = one_piece(source, *model);
  const auto actual = banded_logits(source, *model, {.encoder_rows = param.encoder_rows, .decoder_rows = param.decoder_rows});
  EXPECT_TRUE(test::identical(actual.argmax(0), expected.argmax(0)));
  model->to(torch::kFloat64);
  const auto oracle = one_piece(source, *model).to(torch::kFloat64);
  // Two matrix products in each branch of each layer and five convolutions of the decoder may sum in another order.
  EXPECT_TRUE(test::as_accurate_as_torch(actual, {.oracle = oracle, .torch = expected, .rounding_steps = 3 * 4 + 5}));
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::int64_t global_tokens : {0, 8}) {
    for (const std::vector<std::int64_t>& dilation : {std::vector<std::int64_t>{1}, {3}, {1, 3}}) {
      for (const std::int64_t rows : {1, 3, 7, 11, 1000}) all.push_back({global_tokens, dilation, rows, rows});
    }
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Bands, WholeImage, ::testing::ValuesIn(cases()));

TEST(WholeImageLabels, AreThoseOfTheLogitsAndCountThem) {
  const auto model = test::small_model({});
  MemorySource source(test::sample_image(kWidth, kHeight));
  CollectingSink sink;
  NoProgress progress;
  LabelOutput output(source, model->config(), sink);
  segment_whole_image(source, *model, {.encoder_rows = 4, .decoder_rows = 4}, {.sink = output, .progress = progress}, {});
  const LabelCounts result = output.counts();
  const auto expected = one_piece(source, *model).argmax(0).to(torch::kUInt8);
  EXPECT_TRUE(test::identical(sink.labels(), expected));
  for (std::int64_t label = 0; label < 3; ++label) {
    EXPECT_EQ(result.class_pixels.at(static_cast<std::size_t>(label)), expected.eq(label).sum().item<std::int64_t>());
  }
  EXPECT_EQ(result.width * result.height, kWidth * kHeight);
}

TEST(WholeImageLabels, ComeWithTheProbabilitiesOfTheLogits) {
  const auto model = test::small_model({});
  MemorySource source(test::sample_image(kWidth, kHeight));
  CollectingSink sink;
  NoProgress progress;
  const LabelTaker taker{.sink = sink, .probabilities = Probabilities::kEveryClass, .progress = progress};
  segment_whole_image(source, *model, {.encoder_rows = 4, .decoder_rows = 4}, taker, {});
  const auto expected = one_piece(source, *model).softmax(0).permute({1, 2, 0}).mul(255);
  // Rounding to whole numbers, and the order of sums.
  EXPECT_LE(test::max_error(sink.probabilities().to(torch::kFloat32), expected), 0.5 + 255 * 100 * test::unit_roundoff(torch::kFloat32));
}

TEST(WholeImageLabels, AreTheSameWherePixelsAreKeptForTheDecoder) {
  const auto model = test::small_model({});
  MemorySource source(test::sample_image(kWidth, kHeight));
  WholeImageBands bands{.token_rows = 3, .encoder_rows = 4, .decoder_rows = 4};
  const auto read_twice = banded_logits(source, *model, bands);
  bands.keep_pixels = true;
  EXPECT_TRUE(test::identical(banded_logits(source, *model, bands), read_twice));
}

TEST(WholeImageLabels, DependOnPixelsFarAwayOnlyThroughGlobalTokens) {
  MemorySource source(test::sample_image(kWidth, 400));
  ImageU8 changed = test::sample_image(kWidth, 400);
  std::fill(changed.row(360), changed.row(399) + kWidth * 3, std::uint8_t{0});
  MemorySource other(std::move(changed));
  const WholeImageBands bands{.encoder_rows = 5, .decoder_rows = 5};
  const auto top = [](const torch::Tensor& logits) { return logits.narrow(1, 0, 100); };
  // Three layers of radius 2 and the decoder's halo reach less than the 260 pixels between.
  const auto local = test::small_model({.global_tokens = 0});
  EXPECT_TRUE(test::identical(top(banded_logits(source, *local, bands)), top(banded_logits(other, *local, bands))));
  const auto global = test::small_model({.global_tokens = 2});
  EXPECT_GT(test::max_error(top(banded_logits(source, *global, bands)), top(banded_logits(other, *global, bands))), 0.0);
}

TEST(WholeImageLabels, ASixteenBitStreamChangesLittle) {
  const auto model = test::small_model({});
  MemorySource source(test::sample_image(kWidth, kHeight));
  WholeImageBands bands{.encoder_rows = 4, .decoder_rows = 4};
  const auto exact = banded_logits(source, *model, bands);
  bands.stream_dtype = torch::kBFloat16;
  const auto rounded = banded_logits(source, *model, bands);
  EXPECT_GT(test::max_error(rounded, exact), 0.0);
  // One rounding of the stream for each layer and of the fused features for each tap, on the way to the logits.
  EXPECT_LT(test::max_error(rounded, exact), 16 * test::unit_roundoff(torch::kBFloat16) * test::max_magnitude(exact));
}

TEST(WholeImageSupport, NamesTheReason) {
  EXPECT_EQ(whole_image_unsupported(test::small_config({})), nullptr);
  EXPECT_STREQ(whole_image_unsupported(test::small_config({.positions = Positions::kLearned})), "the model's positions are learned on a fixed grid");
  EXPECT_NE(whole_image_unsupported(test::small_config({.dense = true})), nullptr);
  auto backbone = test::small_config({});
  backbone.decoder.reset();
  EXPECT_NE(whole_image_unsupported(backbone), nullptr);
}

TEST(WholeImageStop, LeavesAtOnce) {
  const auto model = test::small_model({});
  MemorySource source(test::sample_image(kWidth, kHeight));
  CollectingSink sink;
  NoProgress progress;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(segment_whole_image(source, *model, {.encoder_rows = 4, .decoder_rows = 4}, {.sink = sink, .progress = progress}, stop.get_token()),
               Error);
}

TEST(GlobalSoftmax, MergesPartsIntoTheWhole) {
  torch::manual_seed(3);
  const auto query = torch::randn({1, 3, 2, 8}, torch::kFloat64), key = torch::randn({1, 50, 2, 8}, torch::kFloat64) * 10;
  const auto value = torch::randn({1, 50, 2, 8}, torch::kFloat64);
  GlobalSoftmax whole(query, 0.5), parts(query, 0.5);
  whole.add(key, value);
  for (const auto& [begin, count] : std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 1}, {1, 30}, {31, 19}}) {
    parts.add(key.narrow(1, begin, count), value.narrow(1, begin, count));
  }
  const auto scores = torch::einsum("bghd,bnhd->bhgn", {query, key}) * 0.5;
  const auto expected = torch::einsum("bhgn,bnhd->bghd", {scores.softmax(-1), value});
  // Sums of 50 terms.
  const double bound = 50 * test::unit_roundoff(torch::kFloat64) * test::max_magnitude(value);
  EXPECT_LE(test::max_error(whole.result(), expected), bound);
  EXPECT_LE(test::max_error(parts.result(), expected), bound);
}

}  // namespace
}  // namespace fovea
