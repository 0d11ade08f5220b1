// The last step of every context: from a band of class indices to the sink, with no-data pixels restored and classes counted.
#pragma once

#include "core/segment/segment.h"

namespace fovea {

class LabelOutput {
 public:
  // source and sink must outlive the object.
  LabelOutput(ImageSource& source, const ModelConfig& config, LabelSink& sink);

  // classes: [rows, image width, 1], the next rows of the image.
  void append(ImageU8 classes);

  std::int64_t rows_done() const noexcept { return rows_done_; }
  // Sizes and counts filled in; the times are the caller's.
  SegmentResult result() const;

 private:
  ImageSource& source_;
  LabelSink& sink_;
  const std::uint8_t nodata_class_;
  std::int64_t rows_done_ = 0;
  std::vector<std::int64_t> counts_;   // [256]
  const std::size_t classes_;
};

}  // namespace fovea
