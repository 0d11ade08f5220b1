// What the canvas draws, pixel by pixel, against a reference computed here on the CPU from the image's definition: position and
// magnification, the pyramid, seams, overlays' alignment, colours. Each comparison states its tolerance, in steps of 255.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <random>

#include "app/viewer/gl_objects.h"
#include "app/viewer/layers/heat_layer.h"
#include "app/viewer/layers/image_layer.h"
#include "app/viewer/layers/label_layer.h"
#include "app/viewer/viewer.h"
#include "core/image/writers.h"
#include "tests/image/sample_files.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

constexpr double kNearAnEdge = 2e-3;         // image pixels: positions reach the graphics card as 32-bit floats

struct Colour3 {
  double c[3];
};

// A colour for a place of the image; nothing where the reference does not say (edges between two colours).
using Reference = std::function<std::optional<Colour3>(Point)>;

Colour3 at(const ImageU8& image, std::int64_t x, std::int64_t y) {
  const std::uint8_t* pixel = image.row(std::clamp<std::int64_t>(y, 0, image.height() - 1)) + 3 * std::clamp<std::int64_t>(x, 0, image.width() - 1);
  return {{static_cast<double>(pixel[0]), static_cast<double>(pixel[1]), static_cast<double>(pixel[2])}};
}

double to_edge(double coordinate) { return std::abs(coordinate - std::round(coordinate)); }

Reference nearest(const ImageU8& image) {
  return [&image](Point p) -> std::optional<Colour3> {
    if (to_edge(p.x) < kNearAnEdge || to_edge(p.y) < kNearAnEdge) return std::nullopt;
    return at(image, static_cast<std::int64_t>(std::floor(p.x)), static_cast<std::int64_t>(std::floor(p.y)));
  };
}

// Mean of factor x factor pixels, fewer at the right and lower edge.
Colour3 area_mean(const ImageU8& image, std::int64_t x, std::int64_t y, std::int64_t factor) {
  Colour3 sum{};
  double count = 0;
  for (std::int64_t v = y * factor; v < std::min((y + 1) * factor, image.height()); ++v) {
    for (std::int64_t u = x * factor; u < std::min((x + 1) * factor, image.width()); ++u, ++count) {
      for (int c = 0; c < 3; ++c) sum.c[c] += at(image, u, v).c[c];
    }
  }
  for (double& c : sum.c) c /= count;
  return sum;
}

// Bilinear between the pixels of the image shrunk by factor; not at the image's edge, which fades into the background.
Reference bilinear(const ImageU8& image, std::int64_t factor) {
  return [&image, factor](Point p) -> std::optional<Colour3> {
    const double x = p.x / static_cast<double>(factor) - 0.5, y = p.y / static_cast<double>(factor) - 0.5;
    const auto left = static_cast<std::int64_t>(std::floor(x)), top = static_cast<std::int64_t>(std::floor(y));
    if (left < 0 || top < 0 || (left + 2) * factor > image.width() || (top + 2) * factor > image.height()) return std::nullopt;
    const double u = x - static_cast<double>(left), v = y - static_cast<double>(top);
    Colour3 result{};
    const Colour3 a = area_mean(image, left, top, factor), b = area_mean(image, left + 1, top, factor), c = area_mean(image, left, top + 1, factor),
                  d = area_mean(image, left + 1, top + 1, factor);
    for (int i = 0; i < 3; ++i) result.c[i] = (a.c[i] * (1 - u) + b.c[i] * u) * (1 - v) + (c.c[i] * (1 - u) + d.c[i] * u) * v;
    return result;
  };
}

ImageU8 make_image(std::int64_t width, std::int64_t height, const std::function<void(std::int64_t, std::int64_t, std::uint8_t*)>& paint) {
  ImageU8 image(width, height, 3);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) paint(x, y, image.row(y) + 3 * x);
  }
  return image;
}

ImageU8 noise(std::int64_t width, std::int64_t height) {
  std::mt19937 random(3);
  return make_image(width, height, [&](std::int64_t, std::int64_t, std::uint8_t* pixel) {
    for (int c = 0; c < 3; ++c) pixel[c] = static_cast<std::uint8_t>(random() & 255);
  });
}

class PixelsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new test::TemporaryFolder;
    ::setenv("XDG_CONFIG_HOME", (*folder / "").c_str(), 1);
    ::setenv("XDG_CACHE_HOME", (*folder / "").c_str(), 1);
    window = new Window({.width = 600, .height = 440, .visibility = Visibility::kHidden, .scale = 1});
    viewer = new Viewer(*window, [] { return frames / 60.0; });
    for (Panel& panel : viewer->workspace().panels.all()) panel.open = false;
  }
  static void TearDownTestSuite() {
    delete viewer;
    delete window;
    delete folder;
  }
  void TearDown() override {
    viewer->workspace().comparison = {};
    EXPECT_EQ(gl::take_error(), "");
    EXPECT_EQ(viewer->workspace().messages.last_error(), "");
  }

  static void frame(double wait_s = 0) {
    window->poll(wait_s);
    ++frames;
    window->begin_frame();
    moving = viewer->frame();
    window->collect();
  }
  static void settle() {
    for (int i = 0; i < 4; ++i) frame();
    for (int i = 0; i < 100000 && !viewer->settled(); ++i) frame(moving ? 0 : 0.05);
    ASSERT_TRUE(viewer->settled());
  }
  void open(const ImageU8& image) {
    static int files = 0;
    const auto path = *folder / ("picture" + std::to_string(++files) + ".png");
    write_png(path, image);
    viewer->open(path);
    settle();
  }
  static Camera& camera() { return viewer->workspace().camera; }
  static ImageLayer& image_layer() { return dynamic_cast<ImageLayer&>(*viewer->workspace().layers.find("image")); }
  static ImageU8 look(Point centre, double zoom) {
    camera().look_at(centre, zoom);
    camera().jump_to_target();
    settle();
    EXPECT_EQ(camera().zoom(), zoom);
    return viewer->canvas().picture().read();
  }
  // The largest difference of the canvas to the reference, over pixels whose whole area lies in the image.
  struct Difference {
    double largest = 0, mean = 0;
    std::int64_t compared = 0;
    Point where;
  };
  static Difference compare(const ImageU8& picture, const Reference& reference) {
    Difference difference;
    const Extent image = camera().image();
    for (std::int64_t y = 0; y < picture.height(); ++y) {
      for (std::int64_t x = 0; x < picture.width(); ++x) {
        const Point p = camera().to_image({static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5});
        const double half = 0.5 / camera().zoom();
        if (p.x < half || p.y < half || p.x > image.width - half || p.y > image.height - half) continue;
        const auto expected = reference(p);
        if (!expected) continue;
        ++difference.compared;
        for (int c = 0; c < 3; ++c) {
          const double error = std::abs(picture.row(y)[3 * x + c] - expected->c[c]);
          difference.mean += error / 3;
          if (error > difference.largest) difference.largest = error, difference.where = p;
        }
      }
    }
    difference.mean /= static_cast<double>(std::max<std::int64_t>(1, difference.compared));
    return difference;
  }
  static void expect_close(const ImageU8& picture, const Reference& reference, double tolerance, std::int64_t at_least = 100000) {
    const Difference difference = compare(picture, reference);
    EXPECT_LE(difference.largest, tolerance) << "zoom " << camera().zoom() << " at " << difference.where.x << ", " << difference.where.y << ", mean "
                                             << difference.mean;
    EXPECT_GE(difference.compared, at_least) << "zoom " << camera().zoom();   // a comparison of nothing proves nothing
  }

  static inline test::TemporaryFolder* folder = nullptr;
  static inline Window* window = nullptr;
  static inline Viewer* viewer = nullptr;
  static inline int frames = 0;
  static inline bool moving = true;
};

TEST_F(PixelsTest, OneToOneIsPixelForPixel) {
  const ImageU8 image = noise(1300, 1000);   // wider than the canvas and many tiles
  open(image);
  const Extent canvas = camera().canvas();
  // Canvas pixels on image pixels.
  const ImageU8 picture = look({450 + canvas.width / 2 - std::floor(canvas.width / 2), 400 + canvas.height / 2 - std::floor(canvas.height / 2)}, 1);
  expect_close(picture, nearest(image), 0);
  expect_close(look({450.3, 400.8}, 1), nearest(image), 0);   // between the screen's pixels: sharp all the same
}

TEST_F(PixelsTest, BeyondOneToOneEveryPixelIsASquare) {
  const ImageU8 image = noise(700, 600);
  open(image);
  for (const double zoom : {2.0, 3.0, 7.3, 21.5, 64.0}) expect_close(look({254 + 0.3, 254 + 0.7}, zoom), nearest(image), 1);   // a tile's corner
}

TEST_F(PixelsTest, SmoothMagnificationIsBilinear) {
  const ImageU8 image = noise(600, 550);
  open(image);
  image_layer().appearance.magnification = Magnification::kSmooth;
  // Graphics cards place samples on a grid of 1/256 of a pixel: neighbours of noise differ by up to 255.
  for (const double zoom : {2.0, 5.7, 16.0}) expect_close(look({254.4, 253.2}, zoom), bilinear(image, 1), 4);
}

TEST_F(PixelsTest, BelowOneToOneIsThePyramidLevelOfAreaMeans) {
  const ImageU8 image = make_image(2100, 1700, [random = std::mt19937(5)](std::int64_t x, std::int64_t y, std::uint8_t* pixel) mutable {
    for (int c = 0; c < 3; ++c) {
      const double wave = std::sin(static_cast<double>(x) / (23 + 5 * c)) * std::cos(static_cast<double>(y) / 31);
      pixel[c] = static_cast<std::uint8_t>(128 + 70 * wave + static_cast<double>(random() % 48));
    }
  });
  open(image);
  // Each level is rounded to whole steps: half a step a level, and what filtering between them makes of it.
  for (const auto& [zoom, factor] : {std::pair{0.9, 1}, {0.71, 1}, {0.5, 2}, {0.37, 2}, {0.25, 4}}) {
    expect_close(look({1000.3, 800.7}, zoom), bilinear(image, factor), 3, 40000);
  }
}

TEST_F(PixelsTest, TilesMeetWithoutSeams) {
  // One colour: any gap, overlap or blended border is another.
  const ImageU8 plain = make_image(1500, 1300, [](std::int64_t, std::int64_t, std::uint8_t* pixel) { pixel[0] = 200, pixel[1] = 90, pixel[2] = 31; });
  open(plain);
  std::mt19937 random(11);
  std::uniform_real_distribution<double> place(300, 1000), log_zoom(-2, 4);
  for (int i = 0; i < 12; ++i) {
    const double zoom = std::exp2(log_zoom(random));
    expect_close(look({place(random), place(random)}, zoom), [](Point) { return Colour3{{200, 90, 31}}; }, 0);
  }
}

TEST_F(PixelsTest, GradientsRunAcrossTiles) {
  const auto value = [](double x, double y) { return Colour3{{x / 8, y / 8, (x + y) / 16}}; };
  const ImageU8 image = make_image(1900, 1900, [&](std::int64_t x, std::int64_t y, std::uint8_t* pixel) {
    const Colour3 colour = value(static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5);
    for (int c = 0; c < 3; ++c) pixel[c] = static_cast<std::uint8_t>(std::lround(colour.c[c]));
  });
  open(image);
  for (const double zoom : {0.83, 0.41, 0.7}) {
    // The middle of the image; edges fade.
    const Reference inside = [&](Point p) -> std::optional<Colour3> {
      if (p.x < 8 || p.y < 8 || p.x > 1892 || p.y > 1892) return std::nullopt;
      return value(p.x, p.y);
    };
    expect_close(look({950.2, 949.6}, zoom), inside, 2);
  }
}

TEST_F(PixelsTest, AnOverlayOfTokensLiesOnItsPixels) {
  constexpr std::int64_t kPatch = 8, kColumns = 80, kRows = 70;
  const auto odd = [](std::int64_t x, std::int64_t y) { return ((x / kPatch) * 7 + (y / kPatch) * 3) % 5 < 2; };
  const ImageU8 image = make_image(kColumns * kPatch, kRows * kPatch, [&](std::int64_t x, std::int64_t y, std::uint8_t* pixel) {
    std::fill_n(pixel, 3, static_cast<std::uint8_t>(odd(x, y) ? 255 : 0));
  });
  open(image);
  // Black over each white token, nothing over the black ones: all is black unless the overlay is a fraction of a pixel off.
  HeatRaster raster{.columns = kColumns, .rows = kRows, .values = {}, .rect_level0 = {0, 0, kColumns * kPatch, kRows * kPatch}};
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (std::int64_t column = 0; column < kColumns; ++column) raster.values.push_back(odd(column * kPatch, row * kPatch) ? 0.0f : std::nanf(""));
  }
  auto& heat = viewer->workspace().layers.add(std::make_unique<HeatLayer>("tokens", "Tokens"));
  heat.set_values(std::move(raster));
  heat.style.opacity = 1;
  heat.style.colours = ColourTable::kGrey;
  const Reference black = [](Point p) -> std::optional<Colour3> {
    if (to_edge(p.x / kPatch) * kPatch < kNearAnEdge || to_edge(p.y / kPatch) * kPatch < kNearAnEdge) return std::nullopt;
    return Colour3{{0, 0, 0}};
  };
  for (const double zoom : {1.37, 2.0, 5.0, 17.3, 64.0}) expect_close(look({301.3, 283.9}, zoom), black, 0);
}

TEST_F(PixelsTest, EveryColourTableIsShownAsItIs) {
  open(make_image(512, 512, [](std::int64_t, std::int64_t, std::uint8_t* pixel) { std::fill_n(pixel, 3, std::uint8_t{128}); }));
  HeatRaster raster{.columns = 256, .rows = 1, .values = {}, .rect_level0 = {0, 0, 512, 512}};
  for (int i = 0; i < 256; ++i) raster.values.push_back(static_cast<float>(i) / 255);
  auto& heat = viewer->workspace().layers.add(std::make_unique<HeatLayer>("ramp", "Ramp"));
  heat.set_values(std::move(raster));
  heat.style.opacity = 1;
  for (int table = 0; table < kColourTables; ++table) {
    heat.style.colours = static_cast<ColourTable>(table);
    const ColourEntries& entries = colour_entries(heat.style.colours);
    const Reference reference = [&](Point p) -> std::optional<Colour3> {
      if (to_edge(p.x / 2) < kNearAnEdge) return std::nullopt;
      const auto& entry = entries[static_cast<std::size_t>(p.x / 2)];
      return Colour3{{static_cast<double>(entry[0]), static_cast<double>(entry[1]), static_cast<double>(entry[2])}};
    };
    expect_close(look({256, 256}, 2), reference, 0);
  }
}

TEST_F(PixelsTest, ContrastAndGammaFollowTheirFormula) {
  const ImageU8 image = make_image(512, 512, [](std::int64_t x, std::int64_t y, std::uint8_t* pixel) {
    pixel[0] = static_cast<std::uint8_t>(x / 2), pixel[1] = static_cast<std::uint8_t>(255 - x / 2), pixel[2] = static_cast<std::uint8_t>(y / 2);
  });
  open(image);
  ImageLayer& layer = image_layer();
  for (const auto& [low, high, gamma] : {std::tuple{0.0f, 1.0f, 1.0f}, {0.2f, 0.7f, 1.0f}, {0.0f, 1.0f, 2.2f}, {0.1f, 0.9f, 0.5f}, {0.8f, 0.3f, 1.0f}}) {
    layer.style.low = low, layer.style.high = high, layer.appearance.gamma = gamma;
    const Reference reference = [&, low = low, high = high, gamma = gamma](Point p) -> std::optional<Colour3> {
      auto colour = nearest(image)(p);
      if (!colour) return std::nullopt;
      for (double& c : colour->c) c = 255 * std::pow(std::clamp((c / 255 - low) / (high - low), 0.0, 1.0), 1 / gamma);
      return colour;
    };
    expect_close(look({256, 256}, 2), reference, 1);
  }
}

TEST_F(PixelsTest, SixteenBitsKeepTheirSteps) {
  // A thousand values of 65,536: eight bits would show four shades of the narrow range.
  ImageU16 image(500, 400, 1);
  for (std::int64_t y = 0; y < 400; ++y) {
    for (std::int64_t x = 0; x < 500; ++x) image.row(y)[x] = static_cast<std::uint16_t>(40000 + 2 * x);
  }
  const auto path = *folder / "sixteen.tif";
  test::write_raster({.path = path, .bits = 16}, image);
  viewer->open(path);
  settle();
  ImageLayer& layer = image_layer();
  ASSERT_EQ(layer.white_level(), 65535);
  layer.style.low = 40000.0f / 65535, layer.style.high = 41000.0f / 65535;
  const Reference reference = [](Point p) -> std::optional<Colour3> {
    if (to_edge(p.x) < kNearAnEdge) return std::nullopt;
    const double value = 255 * std::floor(p.x) * 2 / 1000;
    return Colour3{{value, value, value}};
  };
  expect_close(look({250, 200}, 2), reference, 1.5);   // limits are floats: a thousandth of the range is 0.3 steps
}

TEST_F(PixelsTest, TheCurtainCutsBetweenTwoPixels) {
  open(make_image(600, 500, [](std::int64_t, std::int64_t, std::uint8_t* pixel) { std::fill_n(pixel, 3, std::uint8_t{200}); }));
  auto& heat = viewer->workspace().layers.add(std::make_unique<HeatLayer>("dark", "Dark"));
  heat.set_values({.columns = 1, .rows = 1, .values = {0.0f}, .rect_level0 = {0, 0, 600, 500}});
  heat.style.opacity = 1, heat.style.colours = ColourTable::kGrey;
  Curtain& curtain = viewer->workspace().comparison.curtain;
  curtain = {.on = true, .place = 0.4f, .left = {}, .right = "dark"};
  const double cut = std::lround(0.4f * static_cast<float>(camera().canvas().width));
  const Reference reference = [&](Point p) {
    const double value = camera().to_canvas(p).x < cut ? 200 : 0;
    return Colour3{{value, value, value}};
  };
  expect_close(look({300, 250}, 1.7), reference, 0);
}

TEST_F(PixelsTest, ClassesKeepTheirColoursAndEdges) {
  const ImageU8 image = make_image(700, 650, [](std::int64_t, std::int64_t, std::uint8_t* pixel) { std::fill_n(pixel, 3, std::uint8_t{60}); });
  open(image);
  auto map = std::make_shared<ImageU8>(700, 650, 1);
  for (std::int64_t y = 0; y < 650; ++y) {
    for (std::int64_t x = 0; x < 700; ++x) map->row(y)[x] = static_cast<std::uint8_t>((x / 3 + y / 5) % 4);
  }
  const std::vector<LabelClass> classes{{"a", {255, 0, 0}}, {"b", {0, 200, 10}}, {"c", {30, 60, 250}}, {"hidden", {1, 2, 3}, false}};
  auto& labels = viewer->workspace().layers.add(std::make_unique<LabelLayer>("labels", "Labels", map_in_memory(map, {0, 0, 700, 650}), classes, viewer->workspace().tiles));
  labels.style.opacity = 1;
  const Reference reference = [&](Point p) -> std::optional<Colour3> {
    if (to_edge(p.x) < kNearAnEdge || to_edge(p.y) < kNearAnEdge) return std::nullopt;
    const LabelClass& entry = classes[map->row(static_cast<std::int64_t>(p.y))[static_cast<std::int64_t>(p.x)]];
    if (!entry.visible) return Colour3{{60, 60, 60}};
    return Colour3{{static_cast<double>(entry.colour[0]), static_cast<double>(entry.colour[1]), static_cast<double>(entry.colour[2])}};
  };
  for (const double zoom : {1.0, 1.9, 3.3, 12.0}) expect_close(look({253.8, 254.3}, zoom), reference, 1);
}

// Not of pixels, but of when they are drawn: keys that arrive together are all seen before the window sleeps again.
TEST_F(PixelsTest, WhatIsTypedFastIsDrawnAtOnce) {
  int pressed = 0;
  viewer->workspace().actions.add({.id = "test.count", .title = "Count", .group = "Test", .shortcut = ImGuiKey_F9, .run = [&] { ++pressed; }});
  settle();
  ImGui::GetIO().AddFocusEvent(true);
  frame();
  for (int i = 0; i < 3; ++i) {
    for (const bool down : {true, false}) ImGui::GetIO().AddKeyEvent(ImGuiKey_F9, down);
  }
  do frame();
  while (moving);
  EXPECT_EQ(pressed, 3);
}

}  // namespace
}  // namespace fovea
