// Several small images through the model in one pass: one by one they are over before a GPU is busy.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/segment/segment.h"

namespace fovea {

// The images of a pass have one grid of tokens, so that padding brings them to one size.
struct SmallBatch {
  std::array<std::int64_t, 2> grid{0, 0};   // rows, columns of tokens
  std::int64_t images = 1;                  // of a pass; 1: such an image goes alone
  std::int64_t tokens() const { return grid[0] * grid[1] * images; }
};

// How an image goes through the model: alone if it is large enough to keep the device busy, on the CPU, which is as fast with one after
// the other, and wherever the context is not kImage. bytes: that a pass may take, of the memory where the model is.
SmallBatch small_batch_of(const ImageInfo& image, const SegmentationModel& model, const SegmentOptions& options, std::int64_t bytes);

// Labels of images [height, width, 3] of batch.grid, at most batch.images, each as one piece. They do not depend on what the others are nor
// on how many: what lacks is filled up, because libraries choose their kernels, and with them the order of sums, by the size of a pass. (On
// a GPU the place in the pass may change that order, too.) seconds gets what each stage took.
std::vector<LabelRows> label_together(std::span<const ImageU8> images, const SmallBatch& batch, SegmentationModel& model,
                                      Probabilities probabilities, StageSeconds& seconds);

}  // namespace fovea
