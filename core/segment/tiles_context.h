// Segmentation by overlapping tiles whose class probabilities are blended (Ronneberger et al. 2015 overlap; Isensee et al. 2021 blend).
#pragma once

#include "core/segment/segment.h"

namespace fovea {

// As segment_image. Holds one row of tiles of labels and the overlap with the next row of tiles in probabilities:
// image width * (tile + 4 * classes * overlap) bytes, and one tile's logits; with probabilities, classes * tile bytes a column more.
StageSeconds segment_by_tiles(ImageSource& source, SegmentationModel& model, const SegmentOptions& options, LabelSink& sink,
                              Progress& progress, const std::stop_token& stop);

}  // namespace fovea
