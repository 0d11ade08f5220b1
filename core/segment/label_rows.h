// Rows of a class map on their way from the model to files. No torch.
#pragma once

#include <cstdint>

#include "core/image/image.h"

namespace fovea {

struct LabelRows {
  ImageU8 classes;         // [rows, width, 1]
  ImageU8 probabilities;   // [rows, width, classes], round(255 p); empty unless asked for
  std::int64_t bytes() const { return static_cast<std::int64_t>(classes.samples().size() + probabilities.samples().size()); }
};

// Receives the class map from top to bottom, every row exactly once.
class LabelSink {
 public:
  virtual ~LabelSink() = default;
  // rows: any height, the image's width. Class indices; on the way to files also the model's ignore_index where the image has no data.
  virtual void append(LabelRows rows) = 0;
};

}  // namespace fovea
