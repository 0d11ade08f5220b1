#include "core/segment/label_output.h"

namespace fovea {

LabelOutput::LabelOutput(ImageSource& source, const ModelConfig& config, LabelSink& sink)
    : source_(source), sink_(sink), nodata_class_(static_cast<std::uint8_t>(config.ignore_index)), counts_(256), classes_(config.classes.size()) {}

void LabelOutput::append(ImageU8 classes) {
  if (may_lack_data(source_.info())) {
    const ImageU8 valid = source_.read_valid({0, rows_done_, classes.width(), classes.height()});
    const auto labels = classes.samples();
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (valid.samples()[i] == 0) labels[i] = nodata_class_;
    }
  }
  for (const std::uint8_t label : classes.samples()) ++counts_[label];
  sink_.append(classes);
  rows_done_ += classes.height();
}

SegmentResult LabelOutput::result() const {
  SegmentResult result;
  result.width = source_.info().width;
  result.height = rows_done_;
  result.class_pixels.assign(counts_.begin(), counts_.begin() + static_cast<std::ptrdiff_t>(classes_));
  result.nodata_pixels = counts_[nodata_class_];
  return result;
}

}  // namespace fovea
