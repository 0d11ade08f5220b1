#include "core/segment/scaling.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace fovea {
namespace {

double factor_of(const ModelConfig& model, const ScaleChoice& scale, std::optional<double> georeferenced_m) {
  if (scale.kind == ScaleChoice::Kind::kNone) return 1;
  if (scale.kind == ScaleChoice::Kind::kFactor) return scale.factor;
  const std::optional<PixelSizes>& trained = model.preprocessing.ground_sampling_distance_m;
  if (!trained) {
    throw Error(ErrorKind::kUsage, model.name + ": the model does not say on what pixel sizes it was trained "
                                                "(preprocessing.ground_sampling_distance_m); give --scale a number");
  }
  const std::optional<double> pixel_m = georeferenced_m ? georeferenced_m : scale.pixel_size_m;
  if (!pixel_m) throw Error(ErrorKind::kInput, "the pixel size is not known, because there is no georeference; --pixel-size declares it");
  return *pixel_m / std::clamp(*pixel_m, trained->smallest, trained->largest);
}

std::int64_t scaled(std::int64_t length, double factor) {
  return std::max<std::int64_t>(1, std::llround(static_cast<double>(length) * factor));
}

}  // namespace

PixelExtent model_extent(const ImageInfo& image, const ModelConfig& model, const ScaleChoice& scale,
                         std::optional<double> georeferenced_m) {
  const double factor = factor_of(model, scale, georeferenced_m);
  if (std::abs(factor - 1) <= kScaleTolerance) return {image.width, image.height};
  if (!(factor >= kSmallestScale && factor <= kLargestScale)) {
    char text[96];
    std::snprintf(text, sizeof text, "would be scaled by %.4g, expected %.4g to %.4g", factor, kSmallestScale, kLargestScale);
    throw Error(ErrorKind::kInput, text);
  }
  return {scaled(image.width, factor), scaled(image.height, factor)};
}

}  // namespace fovea
