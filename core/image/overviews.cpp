#include "core/image/overviews.h"

#include <algorithm>
#include <vector>

namespace fovea {
namespace {

std::uint8_t majority(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  if (a == b || a == c || a == d) return a;
  if (b == c || b == d) return b;
  return c == d ? c : a;
}

std::uint8_t average(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return static_cast<std::uint8_t>((a + b + c + d + 2) / 4);
}

template <class Combine>
ImageU8 halve_with(const ImageU8& samples, Combine combine) {
  ImageU8 half((samples.width() + 1) / 2, (samples.height() + 1) / 2, 1);
  for (std::int64_t y = 0; y < half.height(); ++y) {
    const std::uint8_t* above = samples.row(2 * y);
    const std::uint8_t* below = samples.row(std::min(2 * y + 1, samples.height() - 1));
    std::uint8_t* out = half.row(y);
    const std::int64_t pairs = samples.width() / 2;
    for (std::int64_t x = 0; x < pairs; ++x) out[x] = combine(above[2 * x], above[2 * x + 1], below[2 * x], below[2 * x + 1]);
    if (pairs < half.width()) out[pairs] = combine(above[2 * pairs], above[2 * pairs], below[2 * pairs], below[2 * pairs]);
  }
  return half;
}

CPLErr transfer(GDALRWFlag direction, GDALRasterBand& band, std::int64_t y, ImageU8& rows) {
  const auto width = static_cast<int>(rows.width()), height = static_cast<int>(rows.height());
  return band.RasterIO(direction, 0, static_cast<int>(y), width, height, rows.samples().data(), width, height, GDT_Byte, 0, 0, nullptr);
}

// Two rows of tiles become one.
bool fill_level(GDALRasterBand& from, GDALRasterBand& to, OverviewKind kind) {
  int tile_width = 0, tile_height = 0;
  to.GetBlockSize(&tile_width, &tile_height);
  for (std::int64_t y = 0; y < to.GetYSize(); y += tile_height) {
    ImageU8 rows(from.GetXSize(), std::min<std::int64_t>(2 * tile_height, from.GetYSize() - 2 * y), 1);
    if (transfer(GF_Read, from, 2 * y, rows) != CE_None) return false;
    ImageU8 half = halve(rows, kind);
    if (transfer(GF_Write, to, y, half) != CE_None) return false;
    if (to.FlushCache(false) != CE_None) return false;
  }
  return true;
}

}  // namespace

ImageU8 halve(const ImageU8& samples, OverviewKind kind) {
  require(!samples.empty() && samples.channels() == 1, "nothing to halve");
  return kind == OverviewKind::kMajority ? halve_with(samples, majority) : halve_with(samples, average);
}

bool build_overviews(GDALDataset& dataset, OverviewKind kind, std::int64_t smallest_side) {
  std::vector<int> factors;
  const std::int64_t side = std::max(dataset.GetRasterXSize(), dataset.GetRasterYSize());
  for (int factor = 2; 2 * side / factor > smallest_side; factor *= 2) factors.push_back(factor);
  if (factors.empty()) return true;
  // NONE: GDAL makes room and leaves the pixels to the caller.
  const auto count = static_cast<int>(factors.size());
  if (dataset.BuildOverviews("NONE", count, factors.data(), 0, nullptr, nullptr, nullptr, nullptr) != CE_None) return false;
  for (int number = 1; number <= dataset.GetRasterCount(); ++number) {
    GDALRasterBand* from = dataset.GetRasterBand(number);
    GDALRasterBand& full = *from;
    for (int level = 0; level < full.GetOverviewCount(); ++level) {
      GDALRasterBand* to = full.GetOverview(level);
      if (!to || !fill_level(*from, *to, kind)) return false;
      from = to;
    }
  }
  return true;
}

}  // namespace fovea
