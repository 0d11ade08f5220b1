#include "core/segment/bench/seam_figure.h"

#include <algorithm>

#include "core/segment/tile_plan.h"

namespace fovea {
namespace {

// [length]: 1 within kNearPixels of any of these borders.
std::vector<std::uint8_t> near_borders(std::int64_t length, const std::vector<std::vector<std::int64_t>>& borders) {
  std::vector<std::uint8_t> near(static_cast<std::size_t>(length));
  for (const auto& division : borders) {
    for (const std::int64_t border : division) {
      const std::int64_t begin = std::max<std::int64_t>(0, border - kNearPixels), end = std::min(length, border + kNearPixels);
      std::fill(near.begin() + begin, near.begin() + end, std::uint8_t{1});
    }
  }
  return near;
}

double share(std::int64_t part, std::int64_t whole) { return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0; }

}  // namespace

void LabelMap::append(LabelRows rows) { labels_.insert(labels_.end(), rows.classes.samples().begin(), rows.classes.samples().end()); }

double share_of_equal_labels(const LabelMap& a, const LabelMap& b) {
  require(a.labels().size() == b.labels().size(), "share_of_equal_labels: maps of one size");
  std::int64_t equal = 0;
  for (std::size_t i = 0; i < a.labels().size(); ++i) equal += a.labels()[i] == b.labels()[i];
  return share(equal, static_cast<std::int64_t>(a.labels().size()));
}

std::vector<std::int64_t> tile_borders(const SegmentOptions& options, std::int64_t patch, std::int64_t length) {
  const TilePlanOptions plan = tile_plan_options(options.tile_pixels, options.overlap_pixels, patch);
  std::vector<std::int64_t> borders;
  const auto tiles = plan_tiles(length, plan);
  for (std::size_t i = 1; i < tiles.size(); ++i) borders.push_back(tiles[i].begin + plan.overlap / 2);
  return borders;
}

SeamFigure seam_figure(const LabelMap& a, const LabelMap& b, const SegmentBenchOptions::Size& size,
                       const std::vector<std::vector<std::int64_t>>& column_borders, const std::vector<std::vector<std::int64_t>>& row_borders) {
  require(a.labels().size() == b.labels().size() && static_cast<std::int64_t>(a.labels().size()) == size.width * size.height,
          "seam_figure: maps of one size");
  const auto near_column = near_borders(size.width, column_borders), near_row = near_borders(size.height, row_borders);
  std::int64_t pixels[2] = {0, 0}, changed[2] = {0, 0};   // [near]
  for (std::size_t y = 0, i = 0; y < near_row.size(); ++y) {
    for (std::size_t x = 0; x < near_column.size(); ++x, ++i) {
      const int near = near_row[y] | near_column[x];
      ++pixels[near];
      changed[near] += a.labels()[i] != b.labels()[i];
    }
  }
  return {.changed_near_borders = share(changed[1], pixels[1]), .changed_elsewhere = share(changed[0], pixels[0])};
}

}  // namespace fovea
