#include "app/cli/info_image.h"
#include "core/base/error.h"

namespace fovea::cli {

std::vector<LibraryVersion> image_library_versions() { return {{"images", "left out of this build"}}; }

void print_image(const std::string& path) { throw Error(ErrorKind::kUsage, path + ": this program was built without image reading"); }

}  // namespace fovea::cli
