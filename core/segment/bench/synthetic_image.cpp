#include "core/segment/bench/synthetic_image.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cstdint>
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
class NoiseRow {
 public:
  NoiseRow(const Rect& rect, std::int64_t y, std::int64_t cell, std::uint32_t salt) : cell_(cell), first_(rect.x / cell), x_(rect.x) {
    const std::int64_t row = y / cell, part = y % cell;
    for (std::int64_t column = first_; column <= (rect.x + rect.width) / cell + 1; ++column) {
      const auto above = static_cast<std::int64_t>(hash(column, row, salt) & 255), below = static_cast<std::int64_t>(hash(column, row + 1, salt) & 255);
      heights_.push_back(static_cast<std::int32_t>(((above * (cell - part) + below * part) << 16) / cell));
    }
  }
  // Of pixel x_ + i: calls have to ask for one i after the other, from 0.
  int next() {
    const std::int64_t column = x_ / cell_ - first_, part = x_ % cell_;
    ++x_;
    const std::int64_t left = heights_[static_cast<std::size_t>(column)], right = heights_[static_cast<std::size_t>(column) + 1];
    return static_cast<int>((left * (cell_ - part) + right * part) / cell_ >> 16);
  }

 private:
  std::int64_t cell_, first_, x_;
  std::vector<std::int32_t> heights_;
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
  RowPainter(const Rect& rect, std::int64_t y)
      : y_(y), wide_(rect, y, 384, 1), middle_(rect, y, 48, 2), fine_(rect, y, 6, 3), land_(rect, y, 700, 4) {}

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
  NoiseRow wide_, middle_, fine_, land_;
};

}  // namespace

SyntheticImage::SyntheticImage(std::int64_t width, std::int64_t height) {
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
  at::parallel_for(0, rect.height, kRowsATask, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t y = begin; y < end; ++y) {
      RowPainter painter(rect, rect.y + y);
      std::uint8_t* out = image.row(y);
      for (std::int64_t x = rect.x; x < rect.x + rect.width; ++x) {
        for (const int value : painter.next(x)) *out++ = static_cast<std::uint8_t>(value);
      }
    }
  });
  return image;
}

ImageU8 SyntheticImage::read_valid(Rect rect, int) {
  ImageU8 valid(rect.width, rect.height, 1);
  std::ranges::fill(valid.samples(), std::uint8_t{255});
  return valid;
}

}  // namespace fovea
