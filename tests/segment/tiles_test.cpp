#include <gtest/gtest.h>

#include "core/segment/tile_plan.h"
#include "core/segment/tiles_context.h"
#include "tests/segment/segment_test_support.h"
#include "tests/support/comparator.h"

namespace fovea {
namespace {

using test::CollectingSink;
using test::MemorySource;

TEST(TilePlan, CoversEveryPixelAndSharesExactlyTheOverlap) {
  for (const std::int64_t alignment : {1, 8, 14}) {
    const TilePlanOptions options{.tile = 16 * alignment, .overlap = 4 * alignment, .alignment = alignment};
    for (std::int64_t length = 1; length < 40 * alignment; length += 1 + alignment / 3) {
      const auto spans = plan_tiles(length, options);
      EXPECT_EQ(spans.front().begin, 0);
      EXPECT_EQ(spans.back().end, length);
      for (std::size_t i = 0; i < spans.size(); ++i) {
        EXPECT_LE(spans[i].length(), options.tile);
        EXPECT_EQ(spans[i].begin % alignment, 0);
        if (i + 1 < spans.size()) {
          EXPECT_EQ(spans[i].end - spans[i + 1].begin, options.overlap);
        }
        if (i + 2 < spans.size()) {
          EXPECT_LE(spans[i].end, spans[i + 2].begin) << "length " << length;
        }
      }
    }
  }
}

TEST(TilePlan, RampIsZeroThenRisesThenIsOne) {
  const auto ramp = blend_ramp(64);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(ramp[i], 0.0f);
    EXPECT_EQ(ramp[63 - i], 1.0f);
  }
  for (std::size_t i = 0; i + 1 < 64; ++i) EXPECT_LE(ramp[i], ramp[i + 1]);
  EXPECT_TRUE(blend_ramp(0).empty());
}

torch::Tensor tiled_labels(MemorySource& source, SegmentationModel& model, std::int64_t tile, std::int64_t overlap) {
  SegmentOptions options;
  options.tile_pixels = tile;
  options.overlap_pixels = overlap;
  CollectingSink sink;
  NoProgress progress;
  LabelOutput output(source, model.config(), sink);
  segment_by_tiles(source, model, options, output, progress, {});
  EXPECT_EQ(output.counts().height, source.info().height);
  return sink.labels();
}

// What the model says at a pixel depends on pixels at most the decoder's halo away: 6 tokens of 8 pixels, less than the quarter of the
// overlap that does not count.
TEST(Tiles, OfALocalModelAgreeWithTheImageInOnePiece) {
  const auto model = test::small_model({.global_tokens = 0, .window = 1});
  ASSERT_LE(model->decoder()->halo_rows() * 8, 200 / 4);
  MemorySource source(test::sample_image(1001, 330));
  const torch::InferenceMode no_gradients;
  const auto expected = model->forward(source.tensor())[0].argmax(0).to(torch::kUInt8);
  EXPECT_TRUE(test::identical(tiled_labels(source, *model, 800, 200), expected));
  EXPECT_TRUE(test::identical(tiled_labels(source, *model, 904, 224), expected));
}

TEST(Tiles, OfAConstantModelAreConstant) {
  const auto model = test::small_model({});
  {
    const torch::NoGradGuard no_gradients;
    const auto parameters = model->named_parameters();
    parameters["decoder.head.weight"].zero_();
    auto bias = parameters["decoder.head.bias"];
    bias.zero_().narrow(0, 4, 4).fill_(0.125);   // the second of three classes, four pixels a place
  }
  MemorySource source(test::sample_image(230, 190));
  EXPECT_TRUE(tiled_labels(source, *model, 64, 16).eq(1).all().item<bool>());
}

TEST(Tiles, ReadAndHandOnNoMoreThanATileAtATime) {
  const auto model = test::small_model({});
  MemorySource source(test::sample_image(100, 500));
  SegmentOptions options;
  options.tile_pixels = 64;
  options.overlap_pixels = 16;
  CollectingSink sink;
  NoProgress progress;
  segment_by_tiles(source, *model, options, sink, progress, {});
  EXPECT_LE(source.largest_window, 64 * 64);
  EXPECT_LE(sink.largest_band, 64);
}

TEST(Tiles, KeepPixelsWithoutDataAsSuch) {
  ImageU8 valid(230, 190, 1);
  std::fill(valid.samples().begin(), valid.samples().end(), std::uint8_t{255});
  for (std::int64_t y = 0; y < 100; ++y) std::fill_n(valid.row(y), 120, std::uint8_t{0});   // whole tiles and parts of others
  const auto model = test::small_model({});
  MemorySource with_holes(test::sample_image(230, 190), valid.clone()), whole(test::sample_image(230, 190));
  const auto labels = tiled_labels(with_holes, *model, 64, 16), expected = tiled_labels(whole, *model, 64, 16);
  const auto mask = torch::from_blob(valid.samples().data(), {190, 230}, torch::kUInt8).eq(255);
  EXPECT_TRUE(labels.masked_select(mask.logical_not()).eq(255).all().item<bool>());
  EXPECT_FALSE(expected.eq(255).any().item<bool>());
  // Right and below, away from tiles that were skipped, labels are as if nothing were missing.
  EXPECT_TRUE(test::identical(labels.narrow(0, 120, 70).contiguous(), expected.narrow(0, 120, 70).contiguous()));
}

}  // namespace
}  // namespace fovea
