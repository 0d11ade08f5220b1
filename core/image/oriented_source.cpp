#include "core/image/oriented_source.h"

#include <algorithm>
#include <utility>

namespace fovea {
namespace {

class OrientedSource final : public ImageSource {
 public:
  OrientedSource(std::unique_ptr<ImageSource> stored, Orientation orientation)
      : stored_(std::move(stored)), orientation_(orientation), info_(stored_->info()) {
    info_.georeference = orientation.apply(info_.georeference, info_.width, info_.height);
    if (orientation.axes == Orientation::Axes::kKept) return;
    std::swap(info_.width, info_.height);
    std::swap(info_.block_width, info_.block_height);
    for (auto& level : info_.levels) std::swap(level.width, level.height);
  }

  const ImageInfo& info() const override { return info_; }
  ImageU8 read_rgb(Rect rect, int level) override { return orientation_.apply(stored_->read_rgb(to_stored(rect, level), level)); }
  ImageU16 read_rgb16(Rect rect, int level) override { return orientation_.apply(stored_->read_rgb16(to_stored(rect, level), level)); }
  int white_level() override { return stored_->white_level(); }
  ImageU8 read_valid(Rect rect, int level) override { return orientation_.apply(stored_->read_valid(to_stored(rect, level), level)); }

 private:
  Rect to_stored(Rect rect, int level) const {
    const auto& levels = stored_->info().levels;
    require(level >= 0 && level < static_cast<int>(levels.size()), "the image has no such level");
    const auto& size = levels[static_cast<std::size_t>(level)];
    return orientation_.to_stored(rect, size.width, size.height);
  }

  std::unique_ptr<ImageSource> stored_;
  Orientation orientation_;
  ImageInfo info_;
};

template <class Sample>
BasicImage<Sample> turn(const BasicImage<Sample>& stored, const Orientation& orientation) {
  const bool swapped = orientation.axes == Orientation::Axes::kSwapped;
  const int channels = stored.channels();
  BasicImage<Sample> shown(swapped ? stored.height() : stored.width(), swapped ? stored.width() : stored.height(), channels);
  // Blocks keep both the read and the written lines in the cache when the axes are swapped.
  constexpr std::int64_t kBlock = 32;
  for (std::int64_t y0 = 0; y0 < shown.height(); y0 += kBlock) {
    for (std::int64_t x0 = 0; x0 < shown.width(); x0 += kBlock) {
      for (std::int64_t y = y0; y < std::min(y0 + kBlock, shown.height()); ++y) {
        auto* out = shown.row(y) + x0 * channels;
        for (std::int64_t x = x0; x < std::min(x0 + kBlock, shown.width()); ++x, out += channels) {
          const Rect at = orientation.to_stored({x, y, 1, 1}, stored.width(), stored.height());
          std::copy_n(stored.row(at.y) + at.x * channels, channels, out);
        }
      }
    }
  }
  return shown;
}

}  // namespace

Orientation Orientation::from_exif(int value) {
  using enum Direction;
  const auto swapped = Axes::kSwapped;
  switch (value) {
    case 2: return {.stored_x = kMirrored};
    case 3: return {.stored_x = kMirrored, .stored_y = kMirrored};
    case 4: return {.stored_y = kMirrored};
    case 5: return {.axes = swapped};
    case 6: return {.axes = swapped, .stored_y = kMirrored};
    case 7: return {.axes = swapped, .stored_x = kMirrored, .stored_y = kMirrored};
    case 8: return {.axes = swapped, .stored_x = kMirrored};
    default: return {};
  }
}

Rect Orientation::to_stored(Rect shown, std::int64_t stored_width, std::int64_t stored_height) const {
  if (axes == Axes::kSwapped) shown = {shown.y, shown.x, shown.height, shown.width};
  if (stored_x == Direction::kMirrored) shown.x = stored_width - shown.x - shown.width;
  if (stored_y == Direction::kMirrored) shown.y = stored_height - shown.y - shown.height;
  return shown;
}

ImageU8 Orientation::apply(const ImageU8& stored) const { return turn(stored, *this); }
ImageU16 Orientation::apply(const ImageU16& stored) const { return turn(stored, *this); }

GeoReference Orientation::apply(const GeoReference& stored, std::int64_t stored_width, std::int64_t stored_height) const {
  GeoReference shown = stored;
  if (!stored.geotransform) return shown;
  auto& t = *shown.geotransform;
  const auto mirror = [&](std::size_t column, std::int64_t size) {
    for (const std::size_t row : {std::size_t{0}, std::size_t{3}}) {
      t[row] += t[row + column] * static_cast<double>(size);
      t[row + column] = -t[row + column];
    }
  };
  if (stored_x == Direction::kMirrored) mirror(1, stored_width);
  if (stored_y == Direction::kMirrored) mirror(2, stored_height);
  if (axes == Axes::kSwapped) std::swap(t[1], t[2]), std::swap(t[4], t[5]);
  return shown;
}

std::unique_ptr<ImageSource> orient(std::unique_ptr<ImageSource> stored, Orientation orientation) {
  if (orientation.is_identity()) return stored;
  return std::make_unique<OrientedSource>(std::move(stored), orientation);
}

}  // namespace fovea
