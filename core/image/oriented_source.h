// EXIF orientation: the image as it is meant to be seen.
#pragma once

#include <memory>

#include "core/image/image_source.h"

namespace fovea {

// Where the stored pixels go. Stored (sx, sy) of a shown (x, y): swap the axes, then mirror the stored ones.
struct Orientation {
  enum class Axes { kKept, kSwapped };
  enum class Direction { kKept, kMirrored };
  Axes axes = Axes::kKept;
  Direction stored_x = Direction::kKept, stored_y = Direction::kKept;

  static Orientation from_exif(int value);   // 1 to 8 (EXIF 2.32, tag 274); anything else is 1
  bool is_identity() const { return axes == Axes::kKept && stored_x == Direction::kKept && stored_y == Direction::kKept; }

  Rect to_stored(Rect shown, std::int64_t stored_width, std::int64_t stored_height) const;
  ImageU8 apply(const ImageU8& stored) const;
  ImageU16 apply(const ImageU16& stored) const;
  GeoReference apply(const GeoReference& stored, std::int64_t stored_width, std::int64_t stored_height) const;
};

std::unique_ptr<ImageSource> orient(std::unique_ptr<ImageSource> stored, Orientation orientation);

}  // namespace fovea
