// Where tiles lie along one axis of an image, and how neighbours share their overlap. No torch.
#pragma once

#include <cstdint>
#include <vector>

namespace fovea {

// Pixels [begin, end) along one axis.
struct Span {
  std::int64_t begin = 0, end = 0;
  std::int64_t length() const { return end - begin; }
  bool operator==(const Span&) const = default;
};

struct TilePlanOptions {
  std::int64_t tile = 0;       // longest tile
  std::int64_t overlap = 0;    // shared by neighbours: exactly this much
  std::int64_t alignment = 1;  // every begin is a multiple of it, so that tiles agree on the patch grid of the whole image
};

// Of tiles and overlaps that a person asked for, in pixels: rounded to the model's patch, the overlap at most a quarter of a tile.
TilePlanOptions tile_plan_options(std::int64_t tile_pixels, std::int64_t overlap_pixels, std::int64_t patch);

// Spans that cover [0, length), of nearly equal length <= options.tile, each sharing exactly options.overlap pixels with its neighbour
// and none with any other. overlap must be a multiple of alignment, and tile >= 3 * overlap + 2 * alignment.
std::vector<Span> plan_tiles(std::int64_t length, const TilePlanOptions& options);

// Weight [overlap] of the later of two neighbours across their overlap; the earlier has one minus it. The outer quarters are 0 and 1:
// there one of the tiles sees its truncated border only, and does not count. Between them, half a cosine period.
std::vector<float> blend_ramp(std::int64_t overlap);

}  // namespace fovea
