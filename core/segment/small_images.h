// Several small images through the model in one pass: one by one they are over before a GPU is busy.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/base/torch.h"
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

// One pass: images are read into the memory that the device fetches them from, then labelled, each as one piece. Labels depend on the image
// and on its place, not on what else is in the pass nor on how much: libraries choose their kernels by the size of a pass, so that it is
// filled up, and on a GPU the order of sums differs between places.
class SmallPass {
 public:
  // model must outlive the object.
  SmallPass(const SmallBatch& batch, SegmentationModel& model);

  // Reads an image of batch.grid. place: 0 ... batch.images - 1, each once. Errors: those of source; the place is free again then.
  void add(ImageSource& source, std::int64_t place);

  // In the order of add(). seconds gets what each stage took.
  std::vector<LabelRows> label(Probabilities probabilities, StageSeconds& seconds);

 private:
  struct Member {
    std::int64_t place = 0, width = 0, height = 0;   // pixels
  };
  bool is_free(std::int64_t place) const;
  torch::Tensor on_device();

  const SmallBatch batch_;
  SegmentationModel& model_;
  torch::Tensor pixels_;           // [batch.images, padded height, padded width, 3] uint8, on the host
  std::vector<Member> members_;
};

}  // namespace fovea
