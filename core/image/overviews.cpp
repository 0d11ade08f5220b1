#include "core/image/overviews.h"

#include <algorithm>
#include <utility>

namespace fovea {
namespace {

// Without branches, so that the compiler takes many at a time.
struct Majority {
  std::uint8_t operator()(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) const {
    const bool first = (a == b) | (a == c) | (a == d), second = (b == c) | (b == d);
    const std::uint8_t others = c == d ? c : a;
    const std::uint8_t rest = second ? b : others;
    return first ? a : rest;
  }
};

struct Average {
  std::uint8_t operator()(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) const {
    return static_cast<std::uint8_t>((a + b + c + d + 2) / 4);
  }
};

// kChannels: 0, known at run time only.
template <int kChannels, class Combine>
void halve_row(const std::uint8_t* above, const std::uint8_t* below, std::int64_t width, int channels, Combine combine, std::uint8_t* out) {
  const std::int64_t step = kChannels > 0 ? kChannels : channels, pairs = width / 2;
  for (std::int64_t x = 0; x < pairs; ++x) {
    for (std::int64_t c = 0; c < step; ++c) {
      const std::int64_t left = 2 * x * step + c, right = left + step;
      out[x * step + c] = combine(above[left], above[right], below[left], below[right]);
    }
  }
  if (width % 2 == 0) return;
  for (std::int64_t c = 0; c < step; ++c) {
    const std::int64_t last = 2 * pairs * step + c;
    out[pairs * step + c] = combine(above[last], above[last], below[last], below[last]);
  }
}

template <class Combine>
ImageU8 halve_with(const ImageU8& samples, std::int64_t height, Combine combine) {
  ImageU8 half((samples.width() + 1) / 2, (height + 1) / 2, samples.channels());
  for (std::int64_t y = 0; y < half.height(); ++y) {
    const std::uint8_t* above = samples.row(2 * y);
    const std::uint8_t* below = samples.row(std::min(2 * y + 1, height - 1));
    if (samples.channels() == 1) halve_row<1>(above, below, samples.width(), 1, combine, half.row(y));
    else halve_row<0>(above, below, samples.width(), samples.channels(), combine, half.row(y));
  }
  return half;
}

}  // namespace

ImageU8 halve(const ImageU8& samples, std::int64_t rows, OverviewKind kind) {
  require(rows > 0 && rows <= samples.height(), "nothing to halve");
  return kind == OverviewKind::kMajority ? halve_with(samples, rows, Majority()) : halve_with(samples, rows, Average());
}

bool write_band_rows(const std::vector<GDALRasterBand*>& bands, std::int64_t y, const ImageU8& rows, std::int64_t count) {
  const auto width = static_cast<int>(rows.width()), height = static_cast<int>(count);
  const int step = rows.channels();
  auto* sample = const_cast<std::uint8_t*>(rows.samples().data());   // GDAL only reads them
  for (GDALRasterBand* band : bands) {
    if (band->RasterIO(GF_Write, 0, static_cast<int>(y), width, height, sample++, width, height, GDT_Byte, step,
                       static_cast<GSpacing>(step) * width, nullptr) != CE_None) return false;
    // Now, so that a full disk is noticed at this row and GDAL's cache does not fill with tiles that are done.
    if (band->FlushCache(false) != CE_None) return false;
  }
  return true;
}

bool OverviewWriter::begin(GDALDataset& dataset) {
  if (kind_ == OverviewKind::kNone) return true;
  std::vector<int> factors;
  const std::int64_t side = std::max(dataset.GetRasterXSize(), dataset.GetRasterYSize());
  for (int factor = 2; 2 * side / factor > smallest_side_; factor *= 2) factors.push_back(factor);
  if (factors.empty()) return true;
  // NONE: GDAL makes room and leaves the pixels to the caller.
  const auto count = static_cast<int>(factors.size());
  if (dataset.BuildOverviews("NONE", count, factors.data(), 0, nullptr, nullptr, nullptr, nullptr) != CE_None) return false;
  for (int i = 0; i < count; ++i) {
    Level level;
    for (int number = 1; number <= dataset.GetRasterCount(); ++number) {
      GDALRasterBand* band = dataset.GetRasterBand(number)->GetOverview(i);
      if (band == nullptr) return false;
      level.bands.push_back(band);
    }
    int tile_width = 0, tile_height = 0;
    level.bands.front()->GetBlockSize(&tile_width, &tile_height);
    const int height = level.bands.front()->GetYSize();
    level.pending = ImageU8(level.bands.front()->GetXSize(), std::min(tile_height, height), dataset.GetRasterCount());
    levels_.push_back(std::move(level));
  }
  return true;
}

bool OverviewWriter::append(const ImageU8& rows, std::int64_t count) {
  return levels_.empty() || append_to(0, halve(rows, count, kind_));
}

bool OverviewWriter::append_to(std::size_t index, const ImageU8& rows) {
  Level& level = levels_[index];
  const int height = level.bands.front()->GetYSize();
  for (std::int64_t y = 0; y < rows.height();) {
    const std::int64_t count = std::min(rows.height() - y, level.pending.height() - level.pending_rows);
    std::copy_n(rows.row(y), count * rows.width() * rows.channels(), level.pending.row(level.pending_rows));
    y += count, level.pending_rows += count;
    const bool last = level.rows_written + level.pending_rows == height;
    if ((last || level.pending_rows == level.pending.height()) && !flush(index)) return false;
  }
  return true;
}

bool OverviewWriter::flush(std::size_t index) {
  Level& level = levels_[index];
  if (!write_band_rows(level.bands, level.rows_written, level.pending, level.pending_rows)) return false;
  level.rows_written += level.pending_rows;
  const std::int64_t rows = std::exchange(level.pending_rows, 0);
  return index + 1 == levels_.size() || append_to(index + 1, halve(level.pending, rows, kind_));
}

}  // namespace fovea
