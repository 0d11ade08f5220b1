// Segmentation of an image as one piece (docs/design.md, whole-image inference): no tiles, no seams.
#pragma once

#include <functional>

#include "core/segment/segment.h"
#include "core/segment/whole_image_encoder.h"

namespace fovea {

// logits [classes, rows, image width] float32 on the model's device, of the next pixel rows from top to bottom.
using LogitBands = std::function<void(const torch::Tensor& logits)>;

// SegmentationModel::forward of the whole image, up to the order of sums, whatever the bands. share: 0 to 1.
struct WholeImageCallbacks {
  LogitBands logits;
  std::function<void(double share)> progress;
};
StageSeconds infer_whole_image(ImageSource& source, SegmentationModel& model, const WholeImageBands& bands,
                               const WholeImageCallbacks& callbacks, const std::stop_token& stop);

struct LabelTaker {
  LabelSink& sink;
  Probabilities probabilities = Probabilities::kNone;
  Progress& progress;
};
// As segment_image. The model must be supported (whole_image_unsupported).
StageSeconds segment_whole_image(ImageSource& source, SegmentationModel& model, const WholeImageBands& bands, const LabelTaker& labels,
                                 const std::stop_token& stop);

}  // namespace fovea
