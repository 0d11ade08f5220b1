#include "core/segment/bench/synthetic_image.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace fovea {
namespace {

constexpr std::int64_t kRowsATask = 16;
constexpr std::int64_t kBlock = 96;                            // pixels a side of the places where a building may stand
constexpr std::int64_t kStreetEvery = 5 * kBlock, kStreetWidth = 22;
constexpr int kGrain = 12;                                     // levels of noise of each pixel

std::uint32_t hash(std::int64_t x, std::int64_t y, std::uint32_t salt) {
  auto h = static_cast<std::uint32_t>(x) * 0x9E3779B1u ^ static_cast<std::uint32_t>(y) * 0x85EBCA77u ^ salt * 0xC2B2AE3Du;
  h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
  h = (h ^ (h >> 12)) * 0x297A2D39u;
  return h ^ (h >> 15);
}

// Value noise (Perlin's simpler sibling) along a row: random heights at the corners of square cells, linear between. 0 ... 255 << 16.
// The cell is known to the compiler, so that the division of every pixel is a multiplication.
template <std::int64_t kCell>
class NoiseRow {
 public:
  NoiseRow(const Rect& rect, std::int64_t y, std::uint32_t salt) : part_(rect.x % kCell) {
    const std::int64_t row = y / kCell, part = y % kCell;
    for (std::int64_t column = rect.x / kCell; column <= (rect.x + rect.width) / kCell + 1; ++column) {
      const std::int64_t above = hash(column, row, salt) & 255, below = hash(column, row + 1, salt) & 255;
      heights_.push_back(((above * (kCell - part) + below * part) << 16) / kCell);
    }
  }
  // Of one pixel after the other, from rect.x on.
  int next() {
    const std::int64_t left = heights_[column_], right = heights_[column_ + 1];
    const auto value = static_cast<int>((left * (kCell - part_) + right * part_) / kCell >> 16);
    if (++part_ == kCell) part_ = 0, ++column_;
    return value;
  }

 private:
  std::int64_t part_;
  std::size_t column_ = 0;
  std::vector<std::int64_t> heights_;
};

using Colour3 = std::array<int, 3>;

constexpr Colour3 kSand{196, 170, 130}, kGreen{70, 110, 60}, kWater{50, 90, 120}, kStreet{105, 105, 110};
constexpr std::array<Colour3, 4> kRoofs{{{190, 90, 70}, {170, 170, 175}, {220, 215, 205}, {130, 80, 60}}};

// The building of a block: [begin, end) of its roof along one axis, relative to the block.
Rect roof_of(std::int64_t block_x, std::int64_t block_y, std::uint32_t random) {
  const std::int64_t width = 28 + random % 48, height = 28 + (random >> 8) % 48;
  return {block_x * kBlock + 6 + (random >> 16) % 12, block_y * kBlock + 6 + (random >> 20) % 12, width, height};
}

class RowPainter {
 public:
  RowPainter(const Rect& rect, std::int64_t y) : y_(y), wide_(rect, y, 1), middle_(rect, y, 2), fine_(rect, y, 3), land_(rect, y, 4) {}

  Colour3 next(std::int64_t x) {
    const int wide = wide_.next(), middle = middle_.next(), fine = fine_.next(), land = land_.next();
    const int grain = static_cast<int>(hash(x, y_, 5) % (2 * kGrain + 1)) - kGrain;
    const int texture = (middle - 128) / 6 + (fine - 128) / 8 + grain;
    Colour3 colour = wide + middle / 3 > 175 ? kGreen : kSand;
    if (land + middle / 6 < 70) colour = kWater;
    else if (x % kStreetEvery < kStreetWidth || y_ % kStreetEvery < kStreetWidth) colour = kStreet;
    else if (const std::uint32_t random = hash(x / kBlock, y_ / kBlock, 6); random % 3 != 0 && colour == kSand) add_roof(x, random, colour);
    for (int& value : colour) value = std::clamp(value + texture, 0, 255);
    return colour;
  }

 private:
  void add_roof(std::int64_t x, std::uint32_t random, Colour3& colour) const {
    const Rect roof = roof_of(x / kBlock, y_ / kBlock, random >> 2);
    if (x >= roof.x && x < roof.x + roof.width && y_ >= roof.y && y_ < roof.y + roof.height) colour = kRoofs[random >> 30];
  }

  std::int64_t y_;
  NoiseRow<384> wide_;
  NoiseRow<48> middle_;
  NoiseRow<6> fine_;
  NoiseRow<700> land_;
};

void paint_row(const Rect& rect, std::int64_t y, std::uint8_t* out) {
  RowPainter painter(rect, y);
  for (std::int64_t x = rect.x; x < rect.x + rect.width; ++x) {
    for (const int value : painter.next(x)) *out++ = static_cast<std::uint8_t>(value);
  }
}

}  // namespace

SyntheticImage::SyntheticImage(std::int64_t width, std::int64_t height, int threads)
    : threads_(threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()))) {
  info_.width = width;
  info_.height = height;
  info_.bands = 3;
  info_.bits = 8;
  info_.format = "synthetic";
  info_.levels = {{width, height}};
  info_.windowed = true;
}

ImageU8 SyntheticImage::read_rgb(Rect rect, int) {
  ImageU8 image(rect.width, rect.height, 3);
  std::atomic<std::int64_t> next = 0;
  const auto paint = [&] {
    for (std::int64_t begin; (begin = next.fetch_add(kRowsATask)) < rect.height;) {
      for (std::int64_t y = begin; y < std::min(begin + kRowsATask, rect.height); ++y) paint_row(rect, rect.y + y, image.row(y));
    }
  };
  const std::int64_t tasks = (rect.height + kRowsATask - 1) / kRowsATask;
  std::vector<std::jthread> helpers;
  for (std::int64_t i = 1; i < std::min<std::int64_t>(tasks, threads_); ++i) helpers.emplace_back(paint);
  paint();
  helpers.clear();   // joined: the image is whole
  return image;
}

ImageU8 SyntheticImage::read_valid(Rect rect, int) {
  ImageU8 valid(rect.width, rect.height, 1);
  std::ranges::fill(valid.samples(), std::uint8_t{255});
  return valid;
}

}  // namespace fovea
