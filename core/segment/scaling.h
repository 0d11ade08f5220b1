// At what size the model should see an image. No torch.
#pragma once

#include <cstdint>
#include <optional>

#include "core/image/image_source.h"
#include "core/model/config.h"

namespace fovea {

struct ScaleChoice {
  enum class Kind {
    kNone,     // pixel for pixel
    kFactor,   // sides times factor
    kAuto,     // to the nearest pixel size of the model's training images; as it is where they had smaller and larger ones
  } kind = Kind::kNone;
  double factor = 1;
  std::optional<double> pixel_size_m = {};   // kAuto: of images without georeference
  bool operator==(const ScaleChoice&) const = default;
};

struct PixelExtent {
  std::int64_t width = 0, height = 0;
  bool operator==(const PixelExtent&) const = default;
};

// Factors nearer to 1 than this are 1: resampling would cost more detail than it gains.
constexpr double kScaleTolerance = 0.02;
constexpr double kSmallestScale = 1.0 / 64, kLargestScale = 16;

// georeferenced_m: the image's pixel size by its georeference, if it has one (core/image/pixel_size.h); it goes before what was declared.
// Errors: Error{kUsage} if the model does not say at what pixel sizes it was trained, Error{kInput} (no subject) if the image's is not
// known or the factor is beyond the limits above.
PixelExtent model_extent(const ImageInfo& image, const ModelConfig& model, const ScaleChoice& scale, std::optional<double> georeferenced_m);

}  // namespace fovea
