// Images seen through others: a part of one, one at another scale.
#pragma once

#include <cstdint>
#include <memory>

#include "core/image/image_source.h"

namespace fovea {

// The part rect (pixels of level 0) as an image of its own: its georeference is moved, overviews are left out.
// Error{kInput} (no subject) unless it lies inside.
std::unique_ptr<ImageSource> window_of(std::unique_ptr<ImageSource> source, const Rect& rect);

// The image resampled to width x height pixels: a triangle as wide as the larger of an old and a new pixel around each new pixel's centre,
// so that shrinking averages and growing is bilinear. Every window gets the same pixels. No overviews. source must outlive it.
std::unique_ptr<ImageSource> resampled(ImageSource& source, std::int64_t width, std::int64_t height);

}  // namespace fovea
