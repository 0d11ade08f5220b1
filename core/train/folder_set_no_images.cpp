// Stands in for folder_set.cpp in a build without OpenCV and GDAL.
#include "core/base/error.h"
#include "core/train/training_set.h"

namespace fovea {

std::vector<LabelledImage> read_folder(const DataSource& source, Progress&, const std::stop_token&) {
  throw Error(ErrorKind::kUsage, source.path.string() + ": this build has no image readers, and reads packed sets (.safetensors) only");
}

}  // namespace fovea
