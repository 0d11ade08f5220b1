// Overviews of 8-bit rasters, halving from level to level.
#pragma once

#include <gdal_priv.h>

#include <cstdint>

#include "core/image/image.h"

namespace fovea {

enum class OverviewKind { kNone, kMajority, kAverage };   // how 2x2 samples of one level become one of the next; kNone: no levels

// One channel, [ceil(h / 2), ceil(w / 2), 1]. Majority: among equals the upper left sample wins. Samples beyond the edge repeat it.
ImageU8 halve(const ImageU8& samples, OverviewKind kind);

// Adds levels to an open, writable dataset until the longer side is at most `smallest_side`. GDAL's own majority is some seven times
// slower. False if GDAL failed; it has told why.
bool build_overviews(GDALDataset& dataset, OverviewKind kind, std::int64_t smallest_side);

}  // namespace fovea
