// A small picture of a whole image, shown while nothing better can be read quickly.
#pragma once

#include <algorithm>
#include <mutex>

#include "core/image/copy_rows.h"
#include "core/image/image.h"
#include "core/image/writers.h"

namespace fovea {

// Thread-safe.
template <class Sample>
class PyramidPreview {
 public:
  bool empty() const {
    const std::scoped_lock lock(mutex_);
    return picture_.empty();
  }

  // [height, width, 3], of the whole image at any scale.
  void set(BasicImage<Sample> picture) {
    const std::scoped_lock lock(mutex_);
    picture_ = std::move(picture);
  }

  // Rows of the same width from y on; mid-grey is put where nothing is known yet.
  void paste(const BasicImage<Sample>& rows, std::int64_t y, std::int64_t height) {
    const std::scoped_lock lock(mutex_);
    if (picture_.empty()) {
      picture_ = BasicImage<Sample>(rows.width(), height, 3);
      std::ranges::fill(picture_.samples(), static_cast<Sample>(96));
    } else if (picture_.width() != rows.width() || picture_.height() != height) {
      picture_ = resize(picture_, rows.width(), height);
    }
    std::ranges::copy(rows.samples(), picture_.row(y));
  }

  // Whether it has at least as many pixels as a level of this width.
  bool resolves(std::int64_t level_width) const {
    const std::scoped_lock lock(mutex_);
    return picture_.width() >= level_width;
  }

  // A window of a level of width x height pixels, [rect.height, rect.width, 3].
  BasicImage<Sample> read(const Rect& rect, std::int64_t width, std::int64_t height) const {
    const std::scoped_lock lock(mutex_);
    require(!picture_.empty(), "there is no preview yet");
    const auto from = [](std::int64_t place, std::int64_t level, std::int64_t own) { return std::min(place * own / level, own - 1); };
    const auto to = [](std::int64_t end, std::int64_t level, std::int64_t own) { return (end * own + level - 1) / level; };
    const std::int64_t x = from(rect.x, width, picture_.width()), y = from(rect.y, height, picture_.height());
    BasicImage<Sample> part = part_of(picture_, {x, y, std::max<std::int64_t>(1, to(rect.x + rect.width, width, picture_.width()) - x),
                                                 std::max<std::int64_t>(1, to(rect.y + rect.height, height, picture_.height()) - y)});
    return part.width() == rect.width && part.height() == rect.height ? std::move(part) : resize(part, rect.width, rect.height);
  }

 private:
  mutable std::mutex mutex_;
  BasicImage<Sample> picture_;
};

}  // namespace fovea
