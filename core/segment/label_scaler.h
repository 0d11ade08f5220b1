// From class maps at the size that the model saw to the size of the image.
#pragma once

#include <cstdint>
#include <vector>

#include "core/segment/label_rows.h"

namespace fovea {

// Bilinear interpolation of one map a class, of which each pixel takes the largest: edges between classes become straight lines instead
// of stairs. Probabilities are interpolated bilinearly themselves. The same result however the rows are cut into bands.
class LabelScaler {
 public:
  struct Size {
    std::int64_t width = 0, height = 0;
  };
  LabelScaler(const Size& from, const Size& to) : from_(from), to_(to) {}

  // The next rows of the small map; returns those rows of the large one that no later row changes, at least 0.
  LabelRows add(LabelRows rows);

 private:
  // Place of the new pixel between two old ones: (1 - share) of first and share of second.
  struct Between {
    std::int64_t first = 0, second = 0;
    float share = 0;
  };
  static Between between(std::int64_t place, std::int64_t from, std::int64_t to);
  std::int64_t rows_ready() const;
  void keep(const LabelRows& rows);
  void drop_before(std::int64_t row);
  void vote(const Between& y, std::uint8_t* out) const;
  void blend(const Between& y, std::uint8_t* out) const;

  const Size from_, to_;
  int channels_ = 0;                      // of probabilities, 0: none
  std::vector<std::uint8_t> classes_;     // rows [first_row_, end_row_) of the small map
  std::vector<std::uint8_t> probabilities_;
  std::int64_t first_row_ = 0, end_row_ = 0, rows_done_ = 0;
};

}  // namespace fovea
