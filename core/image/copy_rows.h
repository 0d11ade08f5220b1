// A part of an image that lies in a larger one, in either direction.
#pragma once

#include <cstdint>
#include <cstring>

namespace fovea {

// strides: bytes from the beginning of a row to that of the next.
inline void copy_rows(const std::uint8_t* from, std::int64_t from_stride, std::uint8_t* to, std::int64_t to_stride, std::int64_t row_bytes,
                      std::int64_t rows) {
  for (std::int64_t y = 0; y < rows; ++y) std::memcpy(to + y * to_stride, from + y * from_stride, static_cast<std::size_t>(row_bytes));
}

}  // namespace fovea
