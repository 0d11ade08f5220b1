// Simplifies the borders of regions so that neighbours keep sharing them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/image/image.h"

namespace fovea {

// A corner of pixels: x in [0, width], y in [0, height].
struct Corner {
  std::int32_t x = 0, y = 0;
  auto operator<=>(const Corner&) const = default;
};

// Corners where three or more regions, or two and the image's border, meet, and the image's own corners. A border between two of them has
// the same region on each of its sides all along.
class Junctions {
 public:
  explicit Junctions(std::int64_t width) : width_(width) {}
  // Rows of class indices [any height, width, 1] from top to bottom; finish() after the last.
  void append(const ImageU8& rows);
  void finish();
  // x of the junctions on one horizontal line of corners, ascending.
  std::span<const std::int32_t> on_row(std::int32_t y) const { return rows_[static_cast<std::size_t>(y)]; }
  bool contains(Corner corner) const;

 private:
  void add_line(const std::uint8_t* above, const std::uint8_t* below);   // nullptr: outside the image
  std::int64_t width_;
  std::vector<std::vector<std::int32_t>> rows_;
  std::vector<std::uint8_t> last_;   // the row above the next one
};

// A closed ring of corners along pixels' edges, without its repeated last point. Returns the simplified ring (fewer than 3 points: it
// vanished). Every stretch between two junctions, and every ring without one, comes out the same from both of its sides.
// tolerance: pixels, the largest distance a border moves. Douglas and Peucker, 1973.
std::vector<Corner> simplify_ring(std::span<const Corner> ring, const Junctions& junctions, double tolerance);

}  // namespace fovea
