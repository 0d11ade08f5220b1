// Labelled images in memory: what training draws crops from and evaluation compares with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "core/base/torch.h"
#include "core/image/image.h"
#include "core/model/config.h"
#include "core/train/training_config.h"

namespace fovea {

struct LabelledImage {
  std::string name;
  torch::Tensor image;   // [H, W, 3] uint8, RGB
  torch::Tensor mask;    // [H, W] uint8: class, or ignore_index
  Rect region;           // pixels that may be used; nothing outside is read for training
  double weight = 1;     // its source's
  std::optional<double> pixel_metres = {};   // by the file's georeference
};

// What the masks may hold.
struct LabelRange {
  std::int64_t classes = 0;
  std::int64_t ignore_index = 255;
};

class TrainingSet {
 public:
  // Reads everything and checks it. A source is a folder of X.jpg|jpeg|png|tif|tiff with X_mask.png beside it (where this build has
  // core/image), or a packed file: safetensors with uint8 tensors "X.image" [H, W, 3] and "X.mask" [H, W]. Other images without a mask
  // are an error, not skipped. progress: images. Errors: Error{kInput}:
  //   "masks/x_mask.png: value 7, model has 5 classes", "x_mask.png: 640x480, its image 640x512",
  //   "set.safetensors: x.image: no x.mask beside it", "DIR: no image named scene9".
  TrainingSet(const std::vector<DataSource>& sources, const LabelRange& labels, Progress& progress, const std::stop_token& stop);

  const std::vector<LabelledImage>& images() const { return images_; }
  bool empty() const { return images_.empty(); }

  // Labelled pixels of each class inside the regions: [classes].
  const std::vector<std::int64_t>& class_pixels() const { return class_pixels_; }

  // Of all images; none where one of them does not tell.
  std::optional<PixelSizes> pixel_sizes() const;

  // Size of all images and masks in bytes; move() puts them on a device.
  std::int64_t size_bytes() const;
  void move(torch::Device device);

  // The image that a uniform number of [0, 1) falls on: images are drawn in proportion to the area of their regions times their weight.
  std::size_t pick(double uniform) const;

 private:
  std::vector<LabelledImage> images_;
  std::vector<std::int64_t> class_pixels_;
  std::vector<double> cumulative_share_;
};

// --- what the constructor is made of ------------------------------------------------------------------------------------------------

// Region in whole pixels, at least one a side.
Rect region_pixels(const Region& region, std::int64_t width, std::int64_t height);

// Images of one source, unchecked masks, regions set. read_folder throws Error{kUsage} in a build without core/image.
std::vector<LabelledImage> read_packed(const DataSource& source, Progress& progress, const std::stop_token& stop);
std::vector<LabelledImage> read_folder(const DataSource& source, Progress& progress, const std::stop_token& stop);

// Whether the source names this image, and its region there.
bool takes(const DataSource& source, const std::string& name);
Rect region_of(const DataSource& source, const std::string& name, std::int64_t width, std::int64_t height);

}  // namespace fovea
