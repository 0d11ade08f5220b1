// Overviews of 8-bit rasters, halving from level to level.
#pragma once

#include <gdal_priv.h>

#include <cstdint>
#include <vector>

#include "core/image/image.h"

namespace fovea {

enum class OverviewKind { kNone, kMajority, kAverage };   // how 2x2 samples of one level become one of the next; kNone: no levels

// The first rows of an image: [ceil(rows / 2), ceil(w / 2), channels]. Majority: among equals the upper left sample wins. Samples beyond
// the edge repeat it.
ImageU8 halve(const ImageU8& samples, std::int64_t rows, OverviewKind kind);

// The levels of a tiled dataset that is being written from top to bottom: rows of tiles are halved as they come, so that nothing is read
// back and no level waits for the last row. GDAL's own majority is some seven times slower. Holds a row of tiles of each level.
class OverviewWriter {
 public:
  OverviewWriter(OverviewKind kind, std::int64_t smallest_side) : kind_(kind), smallest_side_(smallest_side) {}

  // Makes room for levels until the longer side is at most smallest_side, in a writable dataset that has all its metadata and no pixels.
  // False, here and below, if GDAL failed; it has told why.
  bool begin(GDALDataset& dataset);

  // The next rows of the full image, the first `count` of [h, width, bands]: an even number, but for the last.
  bool append(const ImageU8& rows, std::int64_t count);

 private:
  struct Level {
    std::vector<GDALRasterBand*> bands;
    ImageU8 pending;                      // of the row of tiles that is not whole yet
    std::int64_t pending_rows = 0, rows_written = 0;
  };
  bool append_to(std::size_t level, const ImageU8& rows);
  bool flush(std::size_t level);

  OverviewKind kind_;
  std::int64_t smallest_side_;
  std::vector<Level> levels_;
};

// Writes the first `count` rows of [h, width, bands] into those bands from row y on. False if GDAL failed.
bool write_band_rows(const std::vector<GDALRasterBand*>& bands, std::int64_t y, const ImageU8& rows, std::int64_t count);

}  // namespace fovea
