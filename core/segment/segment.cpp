#include "core/segment/segment.h"

#include "core/segment/tiles_context.h"

namespace fovea {

SegmentResult segment_image(ImageSource& source, SegmentationModel& model, const SegmentOptions& options, LabelSink& sink,
                            Progress& progress, const std::stop_token& stop) {
  if (model.decoder() == nullptr) throw Error(ErrorKind::kModel, model.config().name + ": a backbone without a decoder cannot segment");
  return segment_by_tiles(source, model, options, sink, progress, stop);
}

}  // namespace fovea
