// A part of an image that lies in a larger one, in either direction.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/image/image.h"

namespace fovea {

// strides: bytes from the beginning of a row to that of the next.
inline void copy_rows(const std::uint8_t* from, std::int64_t from_stride, std::uint8_t* to, std::int64_t to_stride, std::int64_t row_bytes,
                      std::int64_t rows) {
  for (std::int64_t y = 0; y < rows; ++y) std::memcpy(to + y * to_stride, from + y * from_stride, static_cast<std::size_t>(row_bytes));
}

// The rectangle, which lies inside, as an image of its own.
template <class Sample>
BasicImage<Sample> part_of(const BasicImage<Sample>& image, const Rect& rect) {
  BasicImage<Sample> part(rect.width, rect.height, image.channels());
  const auto stride = [](const BasicImage<Sample>& rows) {
    return rows.width() * rows.channels() * static_cast<std::int64_t>(sizeof(Sample));
  };
  copy_rows(reinterpret_cast<const std::uint8_t*>(image.row(rect.y) + rect.x * image.channels()), stride(image),
            reinterpret_cast<std::uint8_t*>(part.row(0)), stride(part), stride(part), rect.height);
  return part;
}

}  // namespace fovea
