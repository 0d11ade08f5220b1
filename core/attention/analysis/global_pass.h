// What the global tokens of a whole image were in every layer: with it, any region of the image can be computed exactly later.
#pragma once

#include <functional>
#include <stop_token>
#include <vector>

#include "core/base/progress.h"
#include "core/base/torch.h"
#include "core/model/segmentation_model.h"

namespace fovea::analysis {

struct GlobalStates {
  std::vector<torch::Tensor> inputs;   // [depth + 1]: [1, G, C] before each block, and after the last
  std::vector<torch::Tensor> lse;      // [depth]: [heads, G] float32, log-sum-exp of their attention over the whole image
};

struct ImageRows {
  std::int64_t height = 0, width = 0;  // pixels
  std::function<torch::Tensor(std::int64_t y, std::int64_t rows)> read;   // [3, rows, width] uint8
};

// Why there is no such pass for a model, or empty: layers need windows, places rotary positions.
std::string global_pass_unsupported(const EncoderConfig& encoder);

// Runs the encoder over the whole image, layer by layer and band by band (as segmentation does), and keeps nothing but the above. Memory:
// the residual stream twice, 2 * C numbers a token, and a band. Equals the one-piece result up to summation order. Error{kCancelled}.
GlobalStates global_states(SegmentationModel& model, const ImageRows& image, Progress& progress, const std::stop_token& stop);

}  // namespace fovea::analysis
