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

namespace fovea {

// What a pixel's label may depend on.
enum class SegmentContext {
  kAuto,    // kImage where the model allows it, else kTiles
  kImage,   // the whole image, as if it were one piece
  kTiles,   // its tile: overlapping tiles, blended
};

struct SegmentOptions {
  SegmentContext context = SegmentContext::kAuto;
  std::int64_t tile_pixels = 1024;      // a side, at most; rounded down to the model's patch
  std::int64_t overlap_pixels = 256;    // of neighbouring tiles; rounded to the model's patch, at most a quarter of a tile
  std::int64_t max_memory_bytes = 0;    // of this process in host memory, kImage; 0: what the machine has
  std::int64_t band_memory_bytes = 0;   // of one step with kImage; 0: as much as still gains speed
  std::function<void(const std::string& plan)> on_plan = {};   // told what kImage will need, before it starts
};

// Receives the class map from top to bottom, every row exactly once.
class LabelSink {
 public:
  virtual ~LabelSink() = default;
  // classes: [any height, image width, 1], the next rows: class indices, or the model's ignore_index where the image has no data.
  virtual void append(const ImageU8& classes) = 0;
};

struct SegmentResult {
  std::int64_t width = 0, height = 0;             // pixels
  std::vector<std::int64_t> class_pixels;         // [classes]
  std::int64_t nodata_pixels = 0;                 // the rest of width * height
  std::map<std::string, double> stage_seconds;    // docs/outputs.md names them
};

// Whether pixels of this image can be without data: they keep that state in the class map (ignore_index) whatever the model says, as
// a reader of maps expects. Their shares are counted apart.
inline bool may_lack_data(const ImageInfo& info) { return info.has_alpha || info.nodata.has_value(); }

// kAuto resolved for a model.
SegmentContext context_for(const ModelConfig& config, SegmentContext wanted);

// Runs the model on the device and in the precision it was loaded with. progress: pixels. Full-resolution logits of the whole image never
// exist. A thread of its own reads from source ahead of the model, while this one asks it for pixels without data: source must allow that
// (core/image/shared_source.h). Errors: Error{kModel} if the model has no decoder, Error{kUsage} if it does not allow kImage, Error{kInput}
// from the source and where memory does not suffice, Error{kCancelled}, whatever sink throws.
SegmentResult segment_image(ImageSource& source, SegmentationModel& model, const SegmentOptions& options, LabelSink& sink,
                            Progress& progress, const std::stop_token& stop);

}  // namespace fovea
