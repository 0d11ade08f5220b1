// Random crops of labelled images: planned on the host, cut on the device that holds the pixels.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/base/torch.h"
#include "core/train/random_stream.h"
#include "core/train/training_config.h"
#include "core/train/training_set.h"

namespace fovea {

// What happens to the colours of one crop, in this order; RGB in 0 ... 255, clamped at the end.
struct ColourShift {
  double contrast = 1;                            // about the crop's mean
  double brightness = 0;                          // added, fraction of 255
  double saturation = 1;                          // about the pixel's grey value
  std::array<double, 3> channel_gain{1, 1, 1};
  bool swap_red_blue = false;                     // before all others
};

// One crop. A window of source pixels, resized to `canvas` inside the crop; the crop around it (only where the region is smaller than
// the window would be) repeats the window's edge and carries no labels. Then a flip left to right, then quarter turns.
struct CropPlan {
  std::size_t image = 0;
  Rect window;                                    // source pixels, inside the image's region
  Rect canvas;                                    // pixels of the crop that the window fills
  bool flip = false;
  int quarter_turns = 0;                          // counter-clockwise
  ColourShift colour;
};

// Draws a crop of crop x crop pixels from the region of one image.
CropPlan plan_crop(RandomStream& random, std::size_t image, const Rect& region, std::int64_t crop, const AugmentationConfig& config);

struct Batch {
  torch::Tensor images;   // [B, 3, crop, crop] float32, RGB, 0 ... 255
  torch::Tensor masks;    // [B, crop, crop] int64
};

// Cuts, resizes (image: bilinear, anti-aliased where it shrinks; mask: nearest) and shifts colours on `device`. Images that live on the
// host send only their windows.
struct CropOptions {
  std::int64_t crop = 512;
  std::int64_t ignore_index = 255;
  torch::Device device = torch::kCPU;
};
Batch cut_batch(const TrainingSet& set, const std::vector<CropPlan>& plans, const CropOptions& options);

}  // namespace fovea
