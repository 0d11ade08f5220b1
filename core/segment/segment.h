// Labels every pixel of an image of any size, from an ImageSource to a LabelSink, band by band.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "core/image/image_source.h"
#include "core/model/segmentation_model.h"
#include "core/segment/label_rows.h"

namespace fovea {

// What a pixel's label may depend on.
enum class SegmentContext {
  kAuto,    // kImage where the model allows it, else kTiles
  kImage,   // the whole image, as if it were one piece
  kTiles,   // its tile: overlapping tiles, blended
};

enum class Probabilities { kNone, kEveryClass };

// Whether small images of a list go through the model together (small_images.h).
enum class SmallImages {
  kAuto,       // where that is faster: on a GPU, with kImage
  kAlone,
  kTogether,   // on the CPU, too
};

struct SegmentOptions {
  SegmentContext context = SegmentContext::kAuto;
  Probabilities probabilities = Probabilities::kNone;
  SmallImages small_images = SmallImages::kAuto;
  std::int64_t tile_pixels = 1024;      // a side, at most; rounded down to the model's patch
  std::int64_t overlap_pixels = 256;    // of neighbouring tiles; rounded to the model's patch, at most a quarter of a tile
  std::int64_t max_memory_bytes = 0;    // of this process in host memory, kImage; 0: what the machine has
  std::int64_t band_memory_bytes = 0;   // of one step with kImage, at least one row of tokens; 0: as much as still gains speed
  double device_share = 1;              // of the free memory of a GPU that kImage may plan with
  std::function<void(const std::string& plan)> on_plan = {};   // told what kImage will need, before it starts
};

using StageSeconds = std::map<std::string, double>;   // docs/outputs.md names the stages

// kAuto resolved for a model.
SegmentContext context_for(const ModelConfig& config, SegmentContext wanted);

// Runs the model on the device and in the precision it was loaded with. progress: pixels. Full-resolution logits of the whole image never
// exist. What the source says about missing data changes no label here (label_output.h). Where sink is slower than the model, its time is
// "write_wait". A thread of its own reads from source ahead of the model. Errors: Error{kModel} if the model has no decoder, Error{kUsage} if
// it does not allow kImage, Error{kInput} from the source and where memory does not suffice, Error{kCancelled}, whatever sink throws.
StageSeconds segment_image(ImageSource& source, SegmentationModel& model, const SegmentOptions& options, LabelSink& sink, Progress& progress,
                           const std::stop_token& stop);

}  // namespace fovea
