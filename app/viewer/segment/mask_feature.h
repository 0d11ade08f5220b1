// Files beside the image that a person brings: class maps as layers, folders of models.
#pragma once

#include <map>

#include "app/viewer/features.h"

namespace fovea {

// Whether a file looks like a class map rather than a picture: one band of 8 bits with a palette, or with "mask" or "label" in its name.
bool looks_like_mask(const std::filesystem::path& path);
// The image that a mask of fovea segment or of a person belongs to: the same name without "_mask"; empty: none beside it.
std::filesystem::path image_of_mask(const std::filesystem::path& mask);

class MaskFeature final : public Feature {
 public:
  explicit MaskFeature(Workspace& workspace);
  // Over the open image. Told in the messages if it does not fit.
  bool add_mask(const std::filesystem::path& path);

 private:
  bool open(const std::filesystem::path& path);
  void add_project_section();
  Workspace& workspace_;
  std::map<std::string, std::filesystem::path> files_;   // by layer
};

std::unique_ptr<Feature> make_mask_feature(Workspace& workspace);

}  // namespace fovea
