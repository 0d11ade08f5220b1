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
  std::int64_t token_rows = 0;               // token rows read and tokenised at a time; 0: encoder_rows
  std::int64_t encoder_rows = 0;             // token rows a step; any number >= 1 gives the same result up to summation order
  std::int64_t decoder_rows = 0;             // token rows a step, rounded up to the decoder's alignment
  torch::Device stream_home = torch::kCPU;   // where the residual stream is kept
  std::optional<torch::Dtype> stream_dtype = {};   // in which it is kept; none: the model's
  bool keep_pixels = false;                  // on the model's device; else the decoder reads them once more
};

// Bands of token rows as windows of pixels: [first_row, first_row + rows) clipped to the image.
Rect pixels_of_rows(const ImageInfo& image, std::int64_t patch, std::int64_t first_row, std::int64_t rows);

// Seconds: of the thread that reads, and of those that wait for it.
struct ReadTimes {
  double busy = 0, wait = 0;
};

class WholeImageEncoder {
 public:
  // model must have a decoder and be supported (whole_image_unsupported). source and model must outlive the object.
  WholeImageEncoder(ImageSource& source, SegmentationModel& model, const WholeImageBands& bands);

  // Reads the image once, from top to bottom, and makes its tokens. Errors: Error{kInput} from the source, Error{kCancelled}.
  void tokenize(const std::stop_token& stop);
  // All layers that the decoder takes features of. step is called after each band of each layer with the share done, 0 to 1.
  void run(const std::function<void(double share)>& step, const std::stop_token& stop);

  // The decoder's input, the sum of its taps: [1, rows * columns, decoder width] of these rows of tokens.
  torch::Tensor fused(std::int64_t first_row, std::int64_t rows) const;
  std::int64_t rows() const { return rows_; }
  // [1, 3, image height, image width] uint8, after tokenize(); undefined unless they are kept.
  const torch::Tensor& pixels() const { return pixels_; }

  ReadTimes read_times() const { return read_times_; }

 private:
  struct Layer;
  void sweep(std::int64_t layer, const std::function<void(double)>& step, const std::stop_token& stop);
  void forget_before(Layer& state, std::int64_t first_row);
  void project_up_to(Layer& state, std::int64_t end_row);
  void finish(const Layer& state, std::int64_t begin_row, std::int64_t end_row);
  void take_features(std::int64_t layer, std::int64_t first, const torch::Tensor& tokens);

  ImageSource& source_;
  SegmentationModel& model_;
  const WholeImageBands bands_;
  const std::int64_t rows_, columns_;   // of tokens
  TokenStream residual_, fused_;
  torch::Tensor pixels_;
  torch::Tensor globals_;      // [1, G, C]
  torch::Tensor packed_;       // [G + tokens of a band and its halo, 3, heads, D]
  TokenPieces pieces_;
  RotaryTables rotary_;
  ReadTimes read_times_;
};

}  // namespace fovea
