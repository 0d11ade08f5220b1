// An image of any size that no file holds: every pixel is a function of its place.
#pragma once

#include "core/image/image_source.h"

namespace fovea {

// Looks somewhat like a city from above: ground, vegetation, water, streets, roofs. The same on every machine, for every window and
// any number of threads that paint it (0: one a core).
// Reads of several threads at once are allowed.
class SyntheticImage final : public ImageSource {
 public:
  SyntheticImage(std::int64_t width, std::int64_t height, int threads = 0);
  const ImageInfo& info() const override { return info_; }
  ImageU8 read_rgb(Rect rect, int level = 0) override;
  ImageU8 read_valid(Rect rect, int level = 0) override;

 private:
  const int threads_;
  ImageInfo info_;
};

}  // namespace fovea
