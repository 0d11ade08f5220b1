#include "core/segment/label_tensors.h"

#include <cstring>

namespace fovea {
namespace {

// interleaved: [rows, width, channels] uint8.
ImageU8 image_of(const torch::Tensor& interleaved) {
  const torch::Tensor samples = interleaved.cpu().contiguous();
  ImageU8 image(samples.size(1), samples.size(0), static_cast<int>(samples.size(2)));
  std::memcpy(image.samples().data(), samples.const_data_ptr<std::uint8_t>(), image.samples().size());
  return image;
}

}  // namespace

LabelRows label_rows(const torch::Tensor& scores, const torch::Tensor& probabilities) {
  LabelRows rows{.classes = image_of(scores.argmax(0).to(torch::kUInt8).unsqueeze(2)), .probabilities = {}};
  if (probabilities.defined()) rows.probabilities = image_of((probabilities * 255 + 0.5f).clamp(0, 255).to(torch::kUInt8).permute({1, 2, 0}));
  return rows;
}

}  // namespace fovea
