// The encoder over a whole image, layer by layer and band by band: what Encoder::forward computes, in memory that the caller chooses.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>

#include "core/image/image_source.h"
#include "core/model/segmentation_model.h"
#include "core/segment/token_stream.h"

namespace fovea {

// Why whole-image inference cannot run this model, or nullptr: it needs attention whose reach is bounded and positions that mean the
// same in an image of any size.
const char* whole_image_unsupported(const ModelConfig& config);

struct WholeImageBands {
  std::int64_t encoder_rows = 0;             // token rows a step; any number >= 1 gives the same result up to summation order
  std::int64_t decoder_rows = 0;             // token rows a step, rounded up to the decoder's alignment
  torch::Device stream_home = torch::kCPU;   // where the residual stream is kept
  std::optional<torch::Dtype> stream_dtype = {};   // in which it is kept; none: the model's
};

class WholeImageEncoder {
 public:
  // model must have a decoder and be supported (whole_image_unsupported). source and model must outlive the object.
  WholeImageEncoder(ImageSource& source, SegmentationModel& model, const WholeImageBands& bands);

  // Reads the image once and runs all layers that the decoder takes features of. step is called after each band of each layer with the
  // share done, 0 to 1. Errors: Error{kInput} from the source, Error{kCancelled}.
  void run(const std::function<void(double share)>& step, const std::stop_token& stop);

  // The decoder's input: tokens [.., decoder width], the sum of its taps.
  const TokenStream& fused() const { return fused_; }

  // The whole image's rows [first_row, first_row + rows) of tokens as the model sees their pixels: [1, 3, rows * patch, columns * patch].
  torch::Tensor read_pixels(std::int64_t first_row, std::int64_t rows);
  double read_seconds() const { return read_seconds_; }

 private:
  struct Layer;
  void tokenize(const std::stop_token& stop);
  void sweep(std::int64_t layer, const std::function<void(double)>& step, const std::stop_token& stop);
  void extend(Layer& state, std::int64_t first_row, std::int64_t end);
  torch::Tensor attend(const Layer& state, std::int64_t begin, std::int64_t end);
  void take_features(std::int64_t layer, std::int64_t first_row, const torch::Tensor& tokens);

  ImageSource& source_;
  SegmentationModel& model_;
  const WholeImageBands bands_;
  TokenStream residual_, fused_;
  torch::Tensor globals_;      // [1, G, C]
  double read_seconds_ = 0;
};

}  // namespace fovea
