// Images that live in memory and small models whose every parameter matters.
#pragma once

#include <algorithm>
#include <cstring>

#include "core/base/torch.h"
#include "core/model/segmentation_model.h"
#include "core/segment/label_output.h"
#include "core/segment/segment.h"

namespace fovea::test {

struct ModelShape {
  std::int64_t global_tokens = 2;
  std::int64_t window = 5;
  std::vector<std::int64_t> dilation{1};   // one, or one for each of two heads
  Positions positions = Positions::kRope;
  bool dense = false;
};

inline ModelConfig small_config(const ModelShape& shape) {
  ModelConfig config;
  config.name = "small";
  config.encoder.width = 32;
  config.encoder.depth = 3;
  config.encoder.heads = 2;
  config.encoder.mlp_width = 48;
  config.encoder.patch = 8;
  config.encoder.global_tokens = shape.global_tokens;
  config.encoder.positions = shape.positions;
  config.encoder.position_grid = {4, 4};
  const LayerAttention attention{.dense = shape.dense, .window = {shape.window, shape.window}, .dilation = shape.dilation};
  config.encoder.attention.assign(3, attention);
  config.decoder = DecoderConfig{.layers = {1, 3}, .width = 16, .stem_width = 8};
  for (const char* name : {"a", "b", "c"}) config.classes.push_back({name, {0, 0, 0}});
  return config;
}

// Every parameter is disturbed, so that no block starts as the identity and no bias is zero.
inline std::shared_ptr<SegmentationModel> small_model(const ModelShape& shape, std::uint64_t seed = 1) {
  torch::manual_seed(seed);
  auto model = std::make_shared<SegmentationModel>(small_config(shape));
  const torch::NoGradGuard no_gradients;
  for (auto& parameter : model->parameters()) parameter.add_(torch::randn_like(parameter), 0.15);
  model->eval();
  return model;
}

// Smooth waves with some noise: [height, width, 3].
inline ImageU8 sample_image(std::int64_t width, std::int64_t height) {
  ImageU8 image(width, height, 3);
  std::uint32_t noise = 12345;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t i = 0; i < width * 3; ++i) {
      noise = noise * 1664525u + 1013904223u;
      const double wave = std::sin(static_cast<double>(y) / 9.0 + static_cast<double>(i % 3)) * std::cos(static_cast<double>(i / 3) / 13.0);
      image.row(y)[i] = static_cast<std::uint8_t>(100 + 80 * wave + static_cast<double>(noise >> 26));
    }
  }
  return image;
}

class MemorySource final : public ImageSource {
 public:
  explicit MemorySource(ImageU8 image, ImageU8 valid = {}) : image_(std::move(image)), valid_(std::move(valid)) {
    info_.width = image_.width();
    info_.height = image_.height();
    info_.bands = 3;
    info_.bits = 8;
    info_.has_alpha = !valid_.empty();
    info_.levels = {{image_.width(), image_.height()}};
    info_.windowed = true;
  }
  const ImageInfo& info() const override { return info_; }
  ImageU8 read_rgb(Rect rect, int) override {
    largest_window = std::max(largest_window, rect.area());
    return cut(image_, rect);
  }
  ImageU8 read_valid(Rect rect, int) override { return cut(valid_, rect); }

  // [1, 3, height, width] uint8
  torch::Tensor tensor() {
    return torch::from_blob(image_.samples().data(), {1, info_.height, info_.width, 3}, torch::kUInt8).permute({0, 3, 1, 2}).clone();
  }

  std::int64_t largest_window = 0;   // pixels

 private:
  static ImageU8 cut(const ImageU8& image, Rect rect) {
    ImageU8 part(rect.width, rect.height, image.channels());
    const auto row_bytes = static_cast<std::size_t>(rect.width * image.channels());
    for (std::int64_t y = 0; y < rect.height; ++y) std::memcpy(part.row(y), image.row(rect.y + y) + rect.x * image.channels(), row_bytes);
    return part;
  }

  ImageU8 image_, valid_;
  ImageInfo info_;
};

// Keeps all rows.
class CollectingSink final : public LabelSink {
 public:
  void append(LabelRows rows) override {
    const ImageU8& classes = rows.classes;
    largest_band = std::max(largest_band, classes.height());
    labels_.insert(labels_.end(), classes.samples().begin(), classes.samples().end());
    width_ = classes.width();
    probabilities_.insert(probabilities_.end(), rows.probabilities.samples().begin(), rows.probabilities.samples().end());
    channels_ = rows.probabilities.channels();
  }
  // [height, width] uint8
  torch::Tensor labels() const {
    return torch::tensor(at::ArrayRef<std::uint8_t>(labels_), torch::kUInt8).view({-1, width_});
  }
  // [height, width, classes] uint8
  torch::Tensor probabilities() const {
    return torch::tensor(at::ArrayRef<std::uint8_t>(probabilities_), torch::kUInt8).view({-1, width_, channels_});
  }
  std::int64_t largest_band = 0;   // rows

 private:
  std::vector<std::uint8_t> probabilities_;
  std::int64_t channels_ = 0;
  std::vector<std::uint8_t> labels_;
  std::int64_t width_ = 1;
};

}  // namespace fovea::test
