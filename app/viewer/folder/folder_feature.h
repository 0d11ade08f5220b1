// The folder of the open image: its other images as thumbnails, the next one and the one before.
#pragma once

#include <list>
#include <map>

#include "app/viewer/features.h"
#include "app/viewer/folder/thumbnail_maker.h"
#include "app/viewer/gl_objects.h"

namespace fovea {

// Images in a folder without their masks (NAME_mask), "scene9" before "scene10". Empty if it cannot be read.
std::vector<std::filesystem::path> images_in(const std::filesystem::path& folder);

class FolderFeature final : public Feature {
 public:
  FolderFeature(Workspace& workspace, const std::filesystem::path& pyramids);
  bool busy() const override { return maker_.busy(); }
  // Shows this folder whatever image is open.
  void show_folder(const std::filesystem::path& folder);
  const std::vector<std::filesystem::path>& images() const { return images_; }

 private:
  struct Shown {
    gl::Texture texture;
    float width = 0, height = 0;           // of the picture, pixels
    std::int64_t image_width = 0, image_height = 0;
    std::string error;
    double used_s = 0;
  };
  void list(const std::filesystem::path& folder);
  void open_neighbour(std::ptrdiff_t step);
  bool has_neighbour(std::ptrdiff_t step) const;
  void show();
  void show_tile(const std::filesystem::path& path, float side);
  void take_thumbnails();

  Workspace& workspace_;
  std::filesystem::path folder_, chosen_;
  std::vector<std::filesystem::path> images_, wanted_;
  std::map<std::filesystem::path, Shown> thumbnails_;
  bool scroll_to_open_ = false;
  double listed_s_ = 0;
  ThumbnailMaker maker_;
};

std::unique_ptr<Feature> make_folder_feature(Workspace& workspace);

}  // namespace fovea
