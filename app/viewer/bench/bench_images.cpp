#include "app/viewer/bench/bench_images.h"

#include <cmath>
#include <thread>

#include "app/viewer/layers/colour_layer.h"
#include "app/viewer/layers/heat_layer.h"
#include "app/viewer/layers/label_layer.h"
#include "core/image/pyramid_file.h"
#include "core/image/writers.h"

namespace fovea {
namespace {

std::uint32_t mixed(std::uint32_t value) {
  value = (value ^ (value >> 16)) * 0x7feb352du;
  value = (value ^ (value >> 15)) * 0x846ca68bu;
  return value ^ (value >> 16);
}

// Fields of some hundred pixels, each with a colour, lines between them and a little grain.
void paint_row(std::uint8_t* out, std::int64_t width, std::int64_t y, int grain) {
  for (std::int64_t x = 0; x < width; ++x, out += 3) {
    const auto field = mixed(static_cast<std::uint32_t>((x / 193) * 7919 + (y / 157) * 104729));
    const bool road = x % 193 < 9 || y % 157 < 7;
    const auto noise = static_cast<int>(mixed(static_cast<std::uint32_t>(x * 31 + y * 65537)) % static_cast<std::uint32_t>(grain + 1));
    for (int c = 0; c < 3; ++c) {
      const int base = road ? 150 : 40 + static_cast<int>((field >> (8 * c)) & 127);
      out[c] = static_cast<std::uint8_t>(base + noise);
    }
  }
}

ImageU8 paint(std::int64_t width, std::int64_t height, std::int64_t first_row, int grain) {
  ImageU8 rows(width, height, 3);
  std::vector<std::jthread> painters;
  const unsigned count = std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < count; ++i) {
    painters.emplace_back([&, i] {
      for (std::int64_t y = i; y < height; y += count) paint_row(rows.row(y), width, first_row + y, grain);
    });
  }
  painters.clear();
  return rows;
}

HeatRaster heat(const RectD& rect, std::int64_t side, double waves) {
  HeatRaster raster{.columns = side, .rows = side, .values = std::vector<float>(static_cast<std::size_t>(side * side)),
                    .rect_level0 = rect};
  for (std::int64_t y = 0; y < side; ++y) {
    for (std::int64_t x = 0; x < side; ++x) {
      const double u = waves * static_cast<double>(x) / static_cast<double>(side),
                   v = waves * static_cast<double>(y) / static_cast<double>(side);
      raster.values[static_cast<std::size_t>(y * side + x)] = static_cast<float>(0.5 + 0.5 * std::sin(u) * std::cos(v));
    }
  }
  return raster;
}

}  // namespace

void write_bench_tiff(const std::filesystem::path& path, std::int64_t side) {
  PyramidFile file({.path = path, .width = side, .height = side, .bits = 8});
  constexpr std::int64_t kRows = 256;
  for (std::int64_t y = 0; y < side; y += kRows) file.append(paint(side, std::min(kRows, side - y), y, 3));
  file.finish({});
}

void write_bench_jpeg(const std::filesystem::path& path, std::int64_t width, std::int64_t height) {
  write_jpeg(path, paint(width, height, 0, 24), 90);
}

void add_bench_overlays(Workspace& workspace) {
  const auto& info = workspace.image->info;
  const RectD whole{0, 0, static_cast<double>(info.width), static_cast<double>(info.height)};
  auto map = std::make_shared<ImageU8>((info.width + 7) / 8, (info.height + 7) / 8, 1);
  for (std::int64_t y = 0; y < map->height(); ++y) {
    for (std::int64_t x = 0; x < map->width(); ++x) {
      map->row(y)[x] = static_cast<std::uint8_t>(mixed(static_cast<std::uint32_t>(x / 48 * 331 + y / 40 * 7907)) % 5);
    }
  }
  std::vector<LabelClass> classes;
  for (int i = 0; i < 5; ++i) {
    classes.push_back({"class " + std::to_string(i), {static_cast<std::uint8_t>(50 * i), static_cast<std::uint8_t>(255 - 40 * i), 120}});
  }
  workspace.layers.add(std::make_unique<LabelLayer>("segmentation", "Segmentation", map_in_memory(map, whole), classes, workspace.tiles));
  auto& attention = workspace.layers.add(std::make_unique<HeatLayer>("attention", "Attention"));
  attention.set_values(heat(whole, 1024, 60));
  attention.style.opacity = 0.4f;
  auto& kept = workspace.layers.add(std::make_unique<HeatLayer>("kept", "Kept mass"));
  kept.set_values(heat(whole, 512, 25));
  kept.style.opacity = 0.3f;
  kept.style.blend = Blend::kMultiply;
  auto& features = workspace.layers.add(std::make_unique<ColourLayer>("features", "Features"));
  features.set_colours(paint(512, 512, 0, 40), whole);
  features.style.opacity = 0.2f;
}

}  // namespace fovea
