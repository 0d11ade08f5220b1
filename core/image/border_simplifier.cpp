#include "core/image/border_simplifier.h"

#include <algorithm>
#include <utility>

namespace fovea {
namespace {

// Squared distance of a point to the segment between two others, in square pixels.
double squared_distance(Corner point, Corner from, Corner to) {
  const double dx = double{1} * (to.x - from.x), dy = double{1} * (to.y - from.y);
  const double px = double{1} * (point.x - from.x), py = double{1} * (point.y - from.y);
  const double length = dx * dx + dy * dy;
  const double t = length > 0 ? std::clamp((px * dx + py * dy) / length, 0.0, 1.0) : 0.0;
  return (px - t * dx) * (px - t * dx) + (py - t * dy) * (py - t * dy);
}

// Keeps the ends of a line and what Douglas and Peucker keep between them. A stack instead of recursion: borders have millions of corners.
std::vector<Corner> simplify_line(std::span<const Corner> line, double tolerance) {
  std::vector<char> kept(line.size(), 0);
  kept.front() = kept.back() = 1;
  std::vector<std::pair<std::size_t, std::size_t>> open = {{0, line.size() - 1}};
  while (!open.empty()) {
    const auto [first, last] = open.back();
    open.pop_back();
    std::size_t farthest = first;
    double distance = tolerance * tolerance;
    for (std::size_t i = first + 1; i < last; ++i) {
      const double d = squared_distance(line[i], line[first], line[last]);
      if (d > distance) distance = d, farthest = i;
    }
    if (farthest == first) continue;
    kept[farthest] = 1;
    open.push_back({first, farthest});
    open.push_back({farthest, last});
  }
  std::vector<Corner> result;
  for (std::size_t i = 0; i < line.size(); ++i) if (kept[i]) result.push_back(line[i]);
  return result;
}

// A closed line (first == last) has no direction to simplify along: it is cut where it is farthest from its first point. Cutting it into
// two lines keeps the result free of the choice of side, as long as both sides start at the same point and go the same way.
std::vector<Corner> simplify_closed(std::span<const Corner> line, double tolerance) {
  const auto squared = [&](Corner c) {
    const std::int64_t dx = c.x - line[0].x, dy = c.y - line[0].y;
    return dx * dx + dy * dy;
  };
  std::size_t farthest = 0;
  for (std::size_t i = 1; i < line.size(); ++i) if (squared(line[i]) > squared(line[farthest])) farthest = i;
  std::vector<Corner> result = simplify_line(line.first(farthest + 1), tolerance);
  const auto second = simplify_line(line.subspan(farthest), tolerance);
  result.insert(result.end(), second.begin() + 1, second.end());
  // Small and thin islands keep their shape: nothing else would say that they are there.
  if (result.size() < 4) result.assign(line.begin(), line.end());
  return result;
}

// One stretch between junctions, in the direction that does not depend on the side it is seen from.
std::vector<Corner> simplify_stretch(std::vector<Corner> line, double tolerance) {
  const bool reversed = std::lexicographical_compare(line.rbegin(), line.rend(), line.begin(), line.end());
  if (reversed) std::ranges::reverse(line);
  auto result = line.front() == line.back() ? simplify_closed(line, tolerance) : simplify_line(line, tolerance);
  if (reversed) std::ranges::reverse(result);
  return result;
}

// The ring's corners with the junctions that lie between them on straight edges.
std::vector<Corner> with_junctions(std::span<const Corner> ring, const Junctions& junctions) {
  std::vector<Corner> result;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const Corner from = ring[i], to = ring[(i + 1) % ring.size()];
    result.push_back(from);
    if (from.y == to.y) {
      const auto row = junctions.on_row(from.y);
      const auto [low, high] = std::minmax(from.x, to.x);
      const auto begin = std::ranges::upper_bound(row, low), end = std::ranges::lower_bound(row, high);
      const std::size_t at = result.size();
      for (auto x = begin; x < end; ++x) result.push_back({*x, from.y});
      if (from.x > to.x) std::reverse(result.begin() + static_cast<std::ptrdiff_t>(at), result.end());
    } else {
      const std::int32_t step = to.y > from.y ? 1 : -1;
      for (std::int32_t y = from.y + step; y != to.y; y += step) if (junctions.contains({from.x, y})) result.push_back({from.x, y});
    }
  }
  return result;
}

}  // namespace

void Junctions::append(const ImageU8& rows) {
  for (std::int64_t y = 0; y < rows.height(); ++y) {
    add_line(last_.empty() ? nullptr : last_.data(), rows.row(y));
    last_.assign(rows.row(y), rows.row(y) + width_);
  }
}

void Junctions::finish() { add_line(last_.data(), nullptr); }

void Junctions::add_line(const std::uint8_t* above, const std::uint8_t* below) {
  // Outside counts as one more class.
  const auto at = [&](const std::uint8_t* row, std::int64_t x) { return row && x >= 0 && x < width_ ? int{row[x]} : -1; };
  auto& found = rows_.emplace_back();
  for (std::int64_t x = 0; x <= width_; ++x) {
    const int a = at(above, x - 1), b = at(above, x), c = at(below, x - 1), d = at(below, x);
    const int edges = (a != b) + (c != d) + (a != c) + (b != d);
    const bool image_corner = (!above || !below) && (x == 0 || x == width_);   // the frame keeps its shape
    if (edges >= 3 || image_corner) found.push_back(static_cast<std::int32_t>(x));
  }
  found.shrink_to_fit();
}

bool Junctions::contains(Corner corner) const { return std::ranges::binary_search(on_row(corner.y), corner.x); }

std::vector<Corner> simplify_ring(std::span<const Corner> ring, const Junctions& junctions, double tolerance) {
  std::vector<Corner> corners = with_junctions(ring, junctions);
  const auto is_junction = [&](Corner corner) { return junctions.contains(corner); };
  auto start = std::ranges::find_if(corners, is_junction);
  const bool has_junction = start != corners.end();
  // An island's ring starts at its least corner, which both sides agree on.
  if (!has_junction) start = std::ranges::min_element(corners);
  std::rotate(corners.begin(), start, corners.end());
  corners.push_back(corners.front());
  std::vector<Corner> result, stretch = {corners.front()};
  for (std::size_t i = 1; i < corners.size(); ++i) {
    stretch.push_back(corners[i]);
    if (i + 1 < corners.size() && !(has_junction && is_junction(corners[i]))) continue;
    const auto simple = simplify_stretch(std::move(stretch), tolerance);
    result.insert(result.end(), simple.begin(), simple.end() - 1);
    stretch = {corners[i]};
  }
  return result;
}

}  // namespace fovea
