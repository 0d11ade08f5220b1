#include "core/segment/label_tensors.h"

namespace fovea {
namespace {

// interleaved: [rows, width, channels] uint8.
ImageU8 image_of(const torch::Tensor& interleaved) {
  ImageU8 image(interleaved.size(1), interleaved.size(0), static_cast<int>(interleaved.size(2)));
  torch::from_blob(image.samples().data(), interleaved.sizes(), torch::kUInt8).copy_(interleaved);
  return image;
}

}  // namespace

LabelRows label_rows(const torch::Tensor& scores, const torch::Tensor& probabilities) {
  LabelRows rows{.classes = image_of(scores.argmax(0).to(torch::kUInt8).unsqueeze(2)), .probabilities = {}};
  if (probabilities.defined()) {
    rows.probabilities = image_of((probabilities * 255 + 0.5f).clamp(0, 255).to(torch::kUInt8).permute({1, 2, 0}));
  }
  return rows;
}

}  // namespace fovea
