// Between the model's labels and whoever keeps them: pixels without data get their state back, classes are counted. No torch.
#pragma once

#include "core/image/image_source.h"
#include "core/model/config.h"
#include "core/segment/label_rows.h"

namespace fovea {

struct LabelCounts {
  std::int64_t width = 0, height = 0;        // pixels
  std::vector<std::int64_t> class_pixels;    // [classes]
  std::int64_t nodata_pixels = 0;            // the rest of width * height
};

// Pixels that may_lack_data keep that state in the class map (ignore_index) whatever the model says, as a reader of maps expects. Their
// shares are counted apart.
class LabelOutput final : public LabelSink {
 public:
  // source and sink must outlive the object.
  LabelOutput(ImageSource& source, const ModelConfig& config, LabelSink& sink);

  void append(LabelRows rows) override;
  // Of the rows so far.
  LabelCounts counts() const;

 private:
  void restore_missing(LabelRows& rows);
  void count(const ImageU8& classes);

  ImageSource& source_;
  LabelSink& sink_;
  const std::uint8_t nodata_class_;
  std::int64_t rows_done_ = 0;
  std::vector<std::int64_t> counts_;   // [256]
  const std::size_t classes_;
};

}  // namespace fovea
