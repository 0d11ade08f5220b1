// What `fovea info` says about images: in a build without core/image, that it cannot.
#pragma once

#include <string>
#include <vector>

namespace fovea::cli {

struct LibraryVersion { std::string name, version; };
std::vector<LibraryVersion> image_library_versions();

void print_image(const std::string& path);

}  // namespace fovea::cli
