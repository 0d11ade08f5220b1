// Numbers as pictures and as float rasters: what attention analysis writes.
#include "core/base/files.h"
#include "core/image/heatmap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "core/image/float_writer.h"
#include "tests/image/float_planes.h"
#include "tests/image/sample_files.h"

namespace fovea {
namespace {

using test::TemporaryFolder;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

ImageF32 plane(std::int64_t width, std::int64_t height, const std::vector<float>& values) {
  ImageF32 image(width, height, 1);
  std::copy(values.begin(), values.end(), image.samples().begin());
  return image;
}

std::array<int, 3> colour_at(const ImageU8& image, std::int64_t x, std::int64_t y) {
  const auto* sample = image.row(y) + 3 * x;
  return {sample[0], sample[1], sample[2]};
}

double brightness(const std::array<int, 3>& rgb) { return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]; }

TEST(FloatTiff, HoldsEveryBitOfTheValues) {
  const TemporaryFolder folder;
  std::vector<float> values;
  for (int i = 0; i < 300 * 270; ++i) values.push_back(std::ldexp(1.0f + static_cast<float>(i) * 1e-6f, i % 200 - 150));   // denormals too
  values[7] = -0.0f, values[8] = std::numeric_limits<float>::infinity(), values[9] = kNan;
  const GeoReference place{.geotransform = {{100.0, 0.5, 0.0, 900.0, 0.0, -0.5}}, .projection_wkt = ""};
  write_float_tiff(folder / "plane.tif", plane(300, 270, values), place, "row [share of attention]");
  const auto read = test::read_float_plane(folder / "plane.tif");
  ASSERT_EQ(read.width, 300);
  ASSERT_EQ(read.height, 270);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(read.values[i]), std::bit_cast<std::uint32_t>(values[i])) << i;
  }
  EXPECT_EQ(read.georeference.geotransform, place.geotransform);
  EXPECT_EQ(read.description, "row [share of attention]");
}

TEST(FloatTiff, SameArgumentsGiveTheSameBytes) {
  const TemporaryFolder folder;
  const auto values = plane(3, 2, {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f});
  for (const char* name : {"a.tif", "b.tif"}) write_float_tiff(folder / name, values, {}, "values");
  EXPECT_EQ(read_text_file(folder / "a.tif"), read_text_file(folder / "b.tif"));
}

TEST(FloatTiff, AFolderThatIsNotThereIsOneSentence) {
  const TemporaryFolder folder;
  try {
    write_float_tiff(folder / "none" / "plane.tif", plane(1, 1, {1.0f}), {}, "");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
  }
}

TEST(FloatTiff, CoarserPixelsBeginWhereTheImagesDo) {
  const GeoReference image{.geotransform = {{100.0, 0.5, 0.0, 900.0, 0.0, -0.5}}, .projection_wkt = "x"};
  const auto tokens = scaled_georeference(image, 8, 16, 4);
  EXPECT_EQ(*tokens.geotransform, (std::array<double, 6>{104.0, 2.0, 0.0, 892.0, 0.0, -2.0}));
  EXPECT_EQ(tokens.projection_wkt, "x");
  EXPECT_FALSE(scaled_georeference({}, 8, 16, 4).geotransform);
}

TEST(Percentiles, AreLinearBetweenOrderStatisticsAndSkipWhatIsNoNumber) {
  const std::vector<float> values{5, 1, kNan, 3, 2, 4, std::numeric_limits<float>::infinity()};
  const auto range = percentile_range(values, 0, 100);
  EXPECT_EQ(range.low, 1);
  EXPECT_EQ(range.high, 5);
  const auto inner = percentile_range(values, 12.5, 75);
  EXPECT_DOUBLE_EQ(inner.low, 1.5);
  EXPECT_DOUBLE_EQ(inner.high, 4);
  const auto none = percentile_range(std::vector<float>{kNan}, 5, 95);
  EXPECT_EQ(none.low, 0);
  EXPECT_EQ(none.high, 1);
}

// Perceptual: brightness rises with the value, at every step.
TEST(Colours, RiseInBrightness) {
  std::vector<float> ramp;
  for (int i = 0; i < 64; ++i) ramp.push_back(static_cast<float>(i) / 63);
  for (const char* name : {"viridis", "magma", "cividis"}) {
    const auto colours = colour_values(plane(64, 1, ramp), {0, 1}, parse_colour_map(name));
    std::set<std::array<int, 3>> different{colour_at(colours, 0, 0)};
    for (int i = 1; i < 64; ++i) {
      EXPECT_GT(brightness(colour_at(colours, i, 0)), brightness(colour_at(colours, i - 1, 0)) - 1) << name << " " << i;
      different.insert(colour_at(colours, i, 0));
    }
    EXPECT_EQ(different.size(), 64u) << name;
    EXPECT_GT(brightness(colour_at(colours, 63, 0)) - brightness(colour_at(colours, 0, 0)), 150) << name;
  }
}

TEST(Colours, AreTheOnesPublished) {   // Matplotlib's first and last entries
  const auto ends = plane(2, 1, {0, 1});
  const auto viridis = colour_values(ends, {0, 1}, ColourMap::kViridis);
  EXPECT_EQ(colour_at(viridis, 0, 0), (std::array<int, 3>{68, 1, 84}));
  EXPECT_EQ(colour_at(viridis, 1, 0), (std::array<int, 3>{253, 231, 37}));
  const auto magma = colour_values(ends, {0, 1}, ColourMap::kMagma);
  EXPECT_EQ(colour_at(magma, 0, 0), (std::array<int, 3>{0, 0, 4}));
  const auto cividis = colour_values(ends, {0, 1}, ColourMap::kCividis);
  EXPECT_EQ(colour_at(cividis, 0, 0), (std::array<int, 3>{0, 34, 78}));
}

TEST(Colours, OutsideTheRangeTakesItsEndsAndNoNumberIsBlack) {
  const auto colours = colour_values(plane(5, 1, {-9, 0, 1, 9, kNan}), {0, 1}, ColourMap::kViridis);
  EXPECT_EQ(colour_at(colours, 0, 0), colour_at(colours, 1, 0));
  EXPECT_EQ(colour_at(colours, 3, 0), colour_at(colours, 2, 0));
  EXPECT_EQ(colour_at(colours, 4, 0), (std::array<int, 3>{0, 0, 0}));
}

TEST(Heatmap, LaysFlatCellsOverTheImageBesideABar) {
  ImageU8 rgb(40, 30, 3);
  std::fill(rgb.samples().begin(), rgb.samples().end(), std::uint8_t{100});
  const HeatmapOptions options{.range = {0, 1}, .opacity = 1.0f, .caption = "row", .unit = "share"};
  const auto picture = draw_heatmap(rgb, plane(4, 3, {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}), options);
  EXPECT_GT(picture.width(), 40);                                     // the bar
  EXPECT_GT(picture.height(), 30);                                    // the caption
  for (std::int64_t y = 0; y < 30; ++y) {
    for (std::int64_t x = 0; x < 40; ++x) {
      const bool high = x >= 10 && x < 20 && y >= 10 && y < 20;
      ASSERT_EQ(colour_at(picture, x, y), high ? (std::array<int, 3>{253, 231, 37}) : (std::array<int, 3>{68, 1, 84})) << x << "," << y;
    }
  }
  std::set<std::array<int, 3>> beside;
  for (std::int64_t y = 0; y < 66; ++y) beside.insert(colour_at(picture, 40 + 8 + 11, y));
  EXPECT_GT(beside.size(), 30u);                                      // many colours of the map, top to bottom
  const auto marked = draw_heatmap(rgb, plane(1, 1, {0}), {.range = {0, 1}, .opacity = 1.0f, .marks = {{10, 10, 5, 5}}});
  EXPECT_EQ(colour_at(marked, 9, 9), (std::array<int, 3>{255, 255, 255}));
  EXPECT_EQ(colour_at(marked, 12, 12), (std::array<int, 3>{68, 1, 84}));
}

TEST(Colours, OfALogarithmicScaleAreEvenInRatios) {
  const auto colours = colour_values(plane(5, 1, {0, 1e-4f, 1e-2f, 1, 7}), {1e-4, 1}, ColourMap::kViridis, ColourScale::kLogarithmic);
  const auto even = colour_values(plane(3, 1, {0, 0.5f, 1}), {0, 1}, ColourMap::kViridis);
  EXPECT_EQ(colour_at(colours, 0, 0), colour_at(even, 0, 0));
  EXPECT_EQ(colour_at(colours, 1, 0), colour_at(even, 0, 0));
  EXPECT_NEAR(brightness(colour_at(colours, 2, 0)), brightness(colour_at(even, 1, 0)), 1);   // 0.01 is no float
  EXPECT_EQ(colour_at(colours, 3, 0), colour_at(even, 2, 0));
  EXPECT_EQ(colour_at(colours, 4, 0), colour_at(even, 2, 0));
}

TEST(Heatmap, OutlinesFollowTheCells) {
  ImageU8 rgb(40, 40, 3), inside(4, 4, 1);
  inside.row(1)[1] = inside.row(1)[2] = 1;
  HeatmapOptions options{.range = {0, 1}, .opacity = 1.0f};
  options.outlines.push_back({std::move(inside), "half"});
  const auto picture = draw_heatmap(rgb, plane(1, 1, {0}), options);
  const std::array<int, 3> ink{120, 220, 255}, black{0, 0, 0}, cell{68, 1, 84};
  EXPECT_EQ(colour_at(picture, 10, 10), ink);        // the corner of cell (1, 1)
  EXPECT_EQ(colour_at(picture, 29, 19), ink);        // the last pixel of cell (2, 1)
  EXPECT_EQ(colour_at(picture, 20, 15), cell);       // no line between the two
  EXPECT_EQ(colour_at(picture, 9, 15), black);
  EXPECT_EQ(colour_at(picture, 30, 15), black);
  EXPECT_EQ(colour_at(picture, 5, 5), cell);
}

TEST(Heatmap, SpecksAndPinholesHaveNoContour) {
  ImageU8 inside(12, 9, 1);
  for (int y = 2; y < 7; ++y) {
    for (int x = 1; x < 6; ++x) inside.row(y)[x] = 1;      // 25 cells, with
  }
  inside.row(4)[3] = 0;                                    // a hole of one: 24
  inside.row(1)[9] = inside.row(2)[9] = inside.row(3)[10] = 1;   // specks of two and one that share a corner
  const auto cells = [&](std::int64_t smallest) {
    const auto kept = without_specks(inside, smallest);
    return std::count_if(kept.samples().begin(), kept.samples().end(), [](std::uint8_t cell) { return cell != 0; });
  };
  EXPECT_EQ(cells(1), 27);
  EXPECT_EQ(cells(2), 27);    // the single speck is gone, the hole is filled
  EXPECT_EQ(cells(3), 25);
  EXPECT_EQ(cells(24), 25);
  EXPECT_EQ(cells(25), 0);    // parts first: 24 cells and their hole are too few
  EXPECT_EQ(without_specks(inside, 3).row(4)[3] != 0, true);
}

TEST(Heatmap, LongCaptionsTakeMoreLines) {
  const ImageU8 rgb(200, 100, 3);
  const auto height = [&](const std::string& caption) { return draw_heatmap(rgb, plane(1, 1, {0}), {.range = {0, 1}, .caption = caption}).height(); };
  EXPECT_EQ(height("row"), 122);
  EXPECT_EQ(height("row at 1140,1030, layer 8, mean of heads, and much more that is worth saying"), 166);
}

TEST(Heatmap, WallsHaveAPanelForEach) {
  std::vector<WallPanel> panels;
  for (int i = 0; i < 6; ++i) panels.push_back({plane(2, 2, std::vector<float>(4, static_cast<float>(i))), "H" + std::to_string(i)});
  const auto wall = draw_wall(panels, 3, 40, {.range = {0, 5}});
  std::set<std::array<int, 3>> seen;
  for (int i = 0; i < 6; ++i) seen.insert(colour_at(wall, (i % 3) * 48 + 20, (i / 3) * 62 + 40));
  EXPECT_EQ(seen.size(), 6u);
}

}  // namespace
}  // namespace fovea
